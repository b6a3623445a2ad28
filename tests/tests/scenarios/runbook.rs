//! Runs the runbook: every command of the page runs in the order of the page, and must print what the page shows.
//!
//! How docs/runbook.md is read:
//! - In a `console` block, a line that begins with `$ ` is a command, and the lines after it are its whole output; `…`
//!   stands for any text. Ids, times and the widths of columns may differ.
//! - The exit code of a command is 0, unless the next command is `$ echo $?`.
//! - The name of a snapshot in a command is replaced by that of the latest snapshot, and that of a run of reconcile, after `--of` or below
//!   `reconciles/`, by that of the latest run. A `sub` after `--sub` is that of the person who is to be erased.
//! - `twinpool failover` and `twinpool failback` ask questions; the test runs them with `--yes`, which the page does not show.
//! - `<!-- meanwhile: … -->` is an event between two commands, see [`Failover::meanwhile`].

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use aws_sdk_cognitoidentityprovider::types::{
    AccountRecoverySettingType, AttributeType, DeletionProtectionType, EmailConfigurationType,
    EmailSendingAccountType, RecoveryOptionNameType, RecoveryOptionType, UserPoolMfaType,
    VerifiedAttributeType,
};
use harness::operator;
use harness::people::Profile;
use harness::visitor::Visitor;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use local_regions::cognito::{Pool, PoolSettings, SeedUser, UserStatus};
use local_regions::region::{Loss, Region};
use local_regions::world::{BACKUP_WORKER, SNAPSHOTS, World, pool};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{invoke, object, ran, twinpool_command, world};

const PAGE: &str = include_str!("../../../docs/runbook.md");
const PAGE_IN_JAPANESE: &str = include_str!("../../../docs/runbook.ja.md");
const PASSWORD: &str = "Correct-horse-7-battery";

/// A step of the page.
#[derive(Debug, PartialEq)]
enum Step {
    Meanwhile(String),
    Command { line: String, shown: String },
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut block = None;
    for line in page.lines() {
        let line = line.trim_start();
        if let Some(fence) = line.strip_prefix("```") {
            block = block.is_none().then_some(fence);
        } else if let Some(what) = line.strip_prefix("<!-- meanwhile: ") {
            let what = what.trim_end_matches(" -->").to_owned();
            steps.push(Step::Meanwhile(what));
        } else if block != Some("console") {
            assert!(!line.starts_with("$ "), "not in a console block: {line}");
        } else if let Some(line) = line.strip_prefix("$ ") {
            let (line, shown) = (line.to_owned(), String::new());
            steps.push(Step::Command { line, shown });
        } else if let Some(Step::Command {
            line: command,
            shown,
        }) = steps.last_mut()
        {
            if command.ends_with('\\') && shown.is_empty() {
                command.pop();
                command.push_str(line);
            } else {
                writeln!(shown, "{line}").expect("a text takes it");
            }
        }
    }
    steps
}

/// Splits a command into words like a shell, with variables and single quotes.
fn words(line: &str, variables: &BTreeMap<String, String>) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
            continue;
        }
        words.extend(
            part.split_whitespace()
                .map(|word| match word.split_once('$') {
                    Some((before, name)) => {
                        let end = name.find(|c: char| !c.is_ascii_uppercase() && c != '_');
                        let (name, after) = name.split_at(end.unwrap_or(name.len()));
                        let value = variables.get(name);
                        let value = value.unwrap_or_else(|| panic!("{name} is not set: {line}"));
                        format!("{before}{value}{after}")
                    }
                    None => word.to_owned(),
                }),
        );
    }
    words
}

/// Removes what differs in every run: ids, times and the widths of columns.
fn plain(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let mut words: Vec<String> = Vec::new();
        for word in line.split_whitespace().map(without_ids) {
            let unit = word.trim_end_matches([',', '.']);
            let number = words.last().is_some_and(|last| last.parse::<u64>().is_ok());
            if number && ["s", "min", "h", "d"].contains(&unit) {
                words.pop();
                // "1 h 20 min" becomes a single <time>.
                words.pop_if(|last| last == "<time>");
                words.push(format!("<time>{}", &word[unit.len()..]));
            } else {
                words.push(word);
            }
        }
        words.join(" ")
    });
    let lines: Vec<String> = lines.collect();
    lines.join("\n").trim().to_owned()
}

/// Replaces ids, dates and times in a word.
fn without_ids(word: &str) -> String {
    let is_of_id = |c: char| c.is_ascii_digit() || matches!(c, 'a'..='f' | 'T' | 'Z' | '-' | ':');
    let is_id = |run: &str| {
        let digits = run.chars().filter(char::is_ascii_digit).count();
        let is_time = run.len() == 5 && run.as_bytes()[2] == b':';
        is_time || (digits >= 5 && run.len() >= 8)
    };
    let parts = word.split_inclusive(|c| !is_of_id(c)).map(|part| {
        let run = part.trim_end_matches(|c| !is_of_id(c));
        if is_id(run) {
            part.replacen(run, "<id>", 1)
        } else {
            part.to_owned()
        }
    });
    parts.collect()
}

/// Whether the output of a command is what the page shows.
fn is_as_shown(said: &str, shown: &str) -> bool {
    let (said, shown) = (plain(said), plain(shown));
    let mut pieces = shown.split('…').map(str::trim);
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = said.strip_prefix(first) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        let found = match pieces.peek() {
            Some(_) => rest.find(piece),
            None => rest.ends_with(piece).then(|| rest.len() - piece.len()),
        };
        let Some(at) = found else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    true
}

/// The state of the failover: the regions, and the operator's shell.
struct Failover {
    world: World,
    folder: TempDir,
    variables: BTreeMap<String, String>,
    code: i32,
    /// The `sub` in Tokyo of the person who is to be erased.
    to_erase: Option<String>,
}

impl Failover {
    /// Runs a command line and returns its output.
    async fn command(&mut self, line: &str) -> String {
        if line == "echo $?" {
            return self.code.to_string();
        }
        let mut words = words(line, &self.variables);
        let snapshot = object(&self.world, "latest.json");
        let reconcile = object(&self.world, "reconciles/latest.json");
        let (mut is_of_reconcile, mut is_of_sub) = (false, false);
        for word in &mut words {
            let latest = if is_of_reconcile || word.contains("/reconciles/") {
                reconcile.as_ref().map(|latest| &latest["reconcile"])
            } else {
                snapshot.as_ref().map(|latest| &latest["snapshot"])
            };
            let is_sub = std::mem::replace(&mut is_of_sub, word == "--sub");
            is_of_reconcile = word == "--of";
            *word = match &self.to_erase {
                Some(sub) if is_sub => sub.clone(),
                _ => with_id(word, latest),
            };
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.code = 0;
        match words[..] {
            ["export", assignment] => {
                let (name, value) = assignment.split_once('=').expect("NAME=value");
                self.variables.insert(name.to_owned(), value.to_owned());
                String::new()
            }
            ["unset", name] => {
                self.variables.remove(name).expect("it was set");
                String::new()
            }
            ["twinpool", ref arguments @ ..] => self.twinpool(arguments).await,
            ["aws", "s3", "cp", from, to] => self.download(from, to).await,
            ["aws", "lambda", "invoke", ref options @ .., "/dev/stdout"] => {
                self.invoke(options).await
            }
            ["aws", "wafv2", "get-web-acl", ref options @ .., ">", file] => {
                let id = value_of(options, "--id");
                let acl = self.world.osaka.waf().web_acl(id).expect("the fence");
                let request = selected(&acl, value_of(options, "--query"));
                std::fs::write(self.folder.path().join(file), request.to_string())
                    .expect("it can be written");
                String::new()
            }
            ["aws", "wafv2", "update-web-acl", ref options @ ..] => {
                self.update_web_acl(value_of(options, "--cli-input-json"))
                    .await
            }
            ["curl", ref options @ .., url] => self.curl(options, url).await,
            _ => panic!("this test does not implement a command of the page: {line}"),
        }
    }

    async fn twinpool(&mut self, arguments: &[&str]) -> String {
        let mut command = twinpool_command(&self.world).await;
        command
            .args(arguments)
            .envs(&self.variables)
            .current_dir(self.folder.path());
        let is_asked = matches!(arguments.first(), Some(&("failover" | "failback")));
        if is_asked {
            command.arg("--yes");
        }
        let ran = ran(&mut command).await;
        self.code = ran.code;
        match is_asked {
            // They tell on standard error what they do, and show the result in the end.
            true => ran.stderr + &ran.stdout,
            false => ran.stdout + &ran.stderr,
        }
    }

    async fn download(&self, from: &str, to: &str) -> String {
        let path = from.strip_prefix("s3://").expect("a URL");
        let (bucket, key) = path.split_once('/').expect("a key");
        let get = self.world.osaka.s3_client().get_object();
        let object = get.bucket(bucket).key(key).send().await;
        let body = object.expect("it is there").body.collect().await;
        let name = Path::new(key).file_name().expect("a file");
        let file = self.folder.path().join(to).join(name);
        std::fs::write(file, body.expect("it arrives").into_bytes()).expect("it can be written");
        format!("download: {from} to ./{}", name.display())
    }

    /// Sends the request of a file to AWS WAF.
    async fn update_web_acl(&self, file: &str) -> String {
        let file = file.strip_prefix("file://").expect("a file");
        let body = std::fs::read_to_string(self.folder.path().join(file)).expect("it is there");
        let update = self.world.osaka.waf_client().update_web_acl();
        let update = update.customize().mutate_request(move |request| {
            let length = body.len().to_string();
            request.headers_mut().insert("content-length", length);
            *request.body_mut() = body.as_str().into();
        });
        let updated = update.send().await.expect("AWS WAF takes it");
        format!("{{ \"NextLockToken\": {:?} }}", updated.next_lock_token())
    }

    /// Sends a request to Osaka, as anybody can, and returns its status.
    async fn curl(&self, options: &[&str], url: &str) -> String {
        let path = url.splitn(4, '/').nth(3).expect("a path");
        let url = format!("{}/{path}", self.world.osaka.endpoint());
        let mut request = hyper::Request::builder().uri(url);
        let mut body = String::new();
        for option in options.windows(2) {
            match option {
                ["-H", header] => {
                    let (name, value) = header.split_once(": ").expect("a header");
                    request = request.header(name, value);
                }
                ["-d", data] => {
                    request = request.method("POST");
                    body = (*data).to_owned();
                }
                _ => {}
            }
        }
        let client = Client::builder(TokioExecutor::new()).build_http();
        let answer = client.request(request.body(body).expect("a request")).await;
        answer.expect("an answer").status().as_u16().to_string()
    }

    async fn invoke(&self, options: &[&str]) -> String {
        let of = |option: &str| value_of(options, option);
        let World { tokyo, osaka, .. } = &self.world;
        let regions = [tokyo, osaka];
        let region = regions
            .into_iter()
            .find(|region| region.name() == of("--region"));
        let payload: Value = serde_json::from_str(of("--payload")).expect("a payload");
        let region = region.expect("one of the two regions");
        let answer = invoke(region, of("--function-name"), &payload).await;
        format!(
            "{}\n{{\n\"StatusCode\": 200\n}}",
            answer.expect("an answer")
        )
    }

    /// Plays an event between two commands.
    async fn meanwhile(&mut self, what: &str) {
        let World {
            tokyo,
            osaka,
            primary,
            secondary,
            ..
        } = &self.world;
        match what {
            "the pools are as they were before twinpool" => {
                osaka.close_fence();
                before_twinpool(tokyo, primary).await;
                before_twinpool(osaka, secondary).await;
            }
            "people sign up in Tokyo, and there is a snapshot" => {
                for name in ["taro", "jiro", "saburo", "shiro"] {
                    signs_up(tokyo, primary, &[("email", &email(name))]).await;
                }
                self.snapshot().await;
            }
            "Tokyo is lost" => tokyo.lose(Loss::Hang),
            "people go on in Osaka" => {
                let visitor = Visitor::of(osaka, secondary);
                for name in ["taro", "jiro"] {
                    let email = email(name);
                    let reset = visitor.reset_password(&email, PASSWORD).await;
                    reset.expect("the fence is open");
                    let signed_in = visitor.set_up_mfa_and_sign_in(&email, PASSWORD).await;
                    signed_in.expect("a replica is there");
                }
                for name in ["hanako", "yuki", "ren"] {
                    signs_up(osaka, secondary, &[("email", &email(name))]).await;
                }
                // An import file cannot contain a line break.
                let note = ("custom:note", "first line\nsecond line");
                signs_up(osaka, secondary, &[("email", &email("sora")), note]).await;
                self.snapshot().await;
            }
            "somebody had signed up in Tokyo as Ren, and never confirmed" => {
                unconfirmed(tokyo, primary, "ren");
            }
            "Shiro is to be erased, and was deleted in Tokyo" => {
                let shiro = tokyo.cognito().user(&primary.id, &email("shiro"));
                let delete = tokyo.cognito_client().admin_delete_user();
                let delete = delete.user_pool_id(&primary.id).username(email("shiro"));
                delete.send().await.expect("deleted");
                self.to_erase = Some(shiro.expect("he is there").sub);
            }
            "Tokyo is lost again, and people go on in Osaka" => tokyo.lose(Loss::Hang),
            "four more people sign up in Osaka, and Jiro changes a note" => {
                unconfirmed(tokyo, primary, "rin");
                for name in ["kenta", "mio", "rin"] {
                    signs_up(osaka, secondary, &[("email", &email(name))]).await;
                }
                let note = ("custom:note", "first line\nsecond line");
                signs_up(osaka, secondary, &[("email", &email("sakura")), note]).await;
                self.changes_a_note("jiro").await;
            }
            "Tokyo is back" => tokyo.restore(),
            "a newcomer more, imported in the console" => {
                osaka.open_fence();
                signs_up(osaka, secondary, &[("email", &email("mei"))]).await;
                osaka.close_fence();
                self.snapshot().await;
                let latest = object(&self.world, "latest.json").expect("a snapshot");
                let id = latest["snapshot"].as_str().expect("an id");
                let key = format!("snapshots/{id}/newcomers-0001.csv");
                let csv = osaka.s3().object(SNAPSHOTS, &key).expect("newcomers");
                let imported = operator::import(tokyo, primary, csv).await;
                assert_eq!(imported.expect("the job ends").imported, 1);
            }
            "a newcomer more" => {
                osaka.open_fence();
                signs_up(osaka, secondary, &[("email", &email("aoi"))]).await;
                osaka.close_fence();
                self.snapshot().await;
            }
            "Taro had changed a note in Osaka" => self.changes_a_note("taro").await,
            "the bucket of a single pool" => {
                tokyo
                    .s3()
                    .create_bucket("twinpool-backup")
                    .expect("a bucket");
            }
            "somebody is deleted" => {
                let delete = tokyo.cognito_client().admin_delete_user();
                let delete = delete.user_pool_id(&primary.id).username(email("saburo"));
                delete.send().await.expect("deleted");
            }
            "there is a new pool" => {
                tokyo.cognito().create_pool(PoolSettings {
                    id: Some("ap-northeast-1_Primary02".to_owned()),
                    ..pool()
                });
            }
            _ => panic!("this test does not implement an event of the page: {what}"),
        }
    }

    async fn changes_a_note(&self, name: &str) {
        let note = AttributeType::builder()
            .name("custom:note")
            .value("changed in Osaka");
        let update = self.world.osaka.cognito_client();
        let update = update.admin_update_user_attributes();
        let update = update.user_pool_id(&self.world.secondary.id);
        let update = update.username(email(name));
        let update = update.user_attributes(note.build().expect("it has a name"));
        update.send().await.expect("updated");
    }

    async fn snapshot(&self) {
        let payload = json!({"action": "snapshot"});
        let answer = invoke(&self.world.osaka, BACKUP_WORKER, &payload).await;
        assert_eq!(answer.expect("an answer")["status"], "complete");
    }
}

/// The value of an option.
fn value_of<'a>(options: &[&'a str], option: &str) -> &'a str {
    let at = options.iter().position(|word| *word == option);
    options[at.unwrap_or_else(|| panic!("{option} is not given")) + 1]
}

/// What a query of the form `{Name: Path.To.It, Other: `literal`}` selects, in the language of the aws CLI.
fn selected(answer: &Value, query: &str) -> Value {
    let members = query
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    let members = members.expect("a hash").split(", ");
    let members = members.map(|member| {
        let (name, value) = member.split_once(": ").expect("Name: value");
        let value = match value.strip_prefix('`') {
            Some(literal) => serde_json::from_str(literal.trim_end_matches('`')).expect("JSON"),
            None => answer
                .pointer(&format!("/{}", value.replace('.', "/")))
                .cloned()
                .expect("it is in the answer"),
        };
        (name.to_owned(), value)
    });
    Value::Object(members.collect())
}

fn email(name: &str) -> String {
    format!("{name}@example.jp")
}

/// Puts somebody into a pool who has signed up, and never confirmed it.
fn unconfirmed(region: &Region, pool: &Pool, name: &str) {
    let seed = SeedUser {
        status: UserStatus::Unconfirmed,
        attributes: [("email".to_owned(), email(name))].into(),
        ..SeedUser::default()
    };
    region.cognito().put_user(&pool.id, seed);
}

/// Signs up a person on the application's page and confirms them.
async fn signs_up(region: &Region, pool: &Pool, attributes: &[(&str, &str)]) {
    let attributes = attributes
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()));
    let profile = Profile {
        kind: "plain".to_owned(),
        status: "CONFIRMED".to_owned(),
        enabled: true,
        attributes: attributes.collect(),
    };
    let visitor = Visitor::of(region, pool);
    visitor
        .sign_up(&profile, PASSWORD)
        .await
        .expect("signed up");
    visitor.confirm(profile.email()).await.expect("confirmed");
}

/// Gives a pool valid settings and no trigger.
async fn before_twinpool(region: &Region, pool: &Pool) {
    let by_email = RecoveryOptionType::builder()
        .name(RecoveryOptionNameType::VerifiedEmail)
        .priority(1);
    let recovery = AccountRecoverySettingType::builder()
        .recovery_mechanisms(by_email.build().expect("it has a name"));
    let mail = EmailConfigurationType::builder()
        .email_sending_account(EmailSendingAccountType::Developer)
        .source_arn(format!(
            "arn:aws:ses:{}:123456789012:identity/example.jp",
            region.name()
        ));
    region
        .cognito_client()
        .update_user_pool()
        .user_pool_id(&pool.id)
        .auto_verified_attributes(VerifiedAttributeType::Email)
        .account_recovery_setting(recovery.build())
        .email_configuration(mail.build())
        .mfa_configuration(UserPoolMfaType::On)
        .deletion_protection(DeletionProtectionType::Active)
        .send()
        .await
        .expect("the pool takes it");
}

/// Replaces the name of a snapshot in a word by that of the latest one.
fn with_id(word: &str, latest: Option<&Value>) -> String {
    let is_id = |part: &str| part.len() == 25 && part.as_bytes()[15] == b'Z';
    let parts = word.split('/').map(|part| match latest {
        Some(latest) if is_id(part) => latest.as_str().expect("an id"),
        _ => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_command_of_the_runbook_prints_what_the_page_shows() {
    let mut failover = Failover {
        world: world().await,
        folder: tempfile::tempdir().expect("a folder"),
        variables: BTreeMap::new(),
        code: 0,
        to_erase: None,
    };
    let mut different = String::new();
    let mut steps = steps(PAGE).into_iter().peekable();
    while let Some(step) = steps.next() {
        let (line, shown) = match step {
            Step::Meanwhile(what) => {
                failover.meanwhile(&what).await;
                continue;
            }
            Step::Command { line, shown } => (line, shown),
        };
        let said = failover.command(&line).await;
        let is_asked =
            matches!(steps.peek(), Some(Step::Command { line, .. }) if line == "echo $?");
        if failover.code != 0 && !is_asked && line != "echo $?" {
            writeln!(different, "$ {line}\nended with {}", failover.code).expect("a text takes it");
        }
        if !is_as_shown(&said, &shown) {
            writeln!(different, "$ {line}\n{said}\n--- shown:\n{shown}").expect("a text takes it");
        }
    }
    assert!(different.is_empty(), "\n{different}");
}

#[test]
fn the_page_in_japanese_has_the_same_commands_outputs_and_events() {
    assert_eq!(steps(PAGE_IN_JAPANESE), steps(PAGE));
}

/// Every `twinpool …` in a sentence or a table must be a command that the test runs, possibly with more options.
#[test]
fn every_command_that_the_runbook_mentions_is_run() {
    for page in [PAGE, PAGE_IN_JAPANESE] {
        assert_mentions_only_what_is_run(page);
    }
}

fn assert_mentions_only_what_is_run(page: &str) {
    let steps = steps(page);
    let played: Vec<Vec<&str>> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Command { line, .. } => Some(line.split_whitespace().collect()),
            Step::Meanwhile(_) => None,
        })
        .collect();
    for mentioned in page.split('`').skip(1).step_by(2) {
        let words = mentioned
            .split_whitespace()
            .filter(|word| *word != "--help");
        let words: Vec<&str> = words.collect();
        let is_command = words.first() == Some(&"twinpool") && !mentioned.contains('\n');
        let is_played = |line: &Vec<&str>| words.iter().all(|word| line.contains(word));
        assert!(
            !is_command || played.iter().any(is_played),
            "not run: {mentioned}"
        );
    }
}

#[test]
fn ids_and_times_may_differ_from_the_page() {
    let said = "snapshot 20261120T101112Z-0a1b2c3d\nok  it is 1 h 20 min old, 3 users\nend";

    for shown in [
        "snapshot 20250101T000000Z-ffffffff\nok it is 5 s old, 3 users\nend\n",
        "…\nok     it is … old, 3 users\n…",
        "…",
        "snapshot …",
        "… end",
    ] {
        assert!(is_as_shown(said, shown), "{shown}");
    }
    for shown in [
        "",
        "snapshot",
        "…\nok  it is 5 s old, 4 users\n…",
        "… 3 users",
        "… end\n…\nsnapshot …",
    ] {
        assert!(!is_as_shown(said, shown), "{shown}");
    }
}
