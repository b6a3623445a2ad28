//! The six parts of the drill.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use aws_sdk_cognitoidentityprovider::types::AttributeType;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use harness::operator;
use harness::people::Profile;
use harness::visitor::Visitor;
use local_regions::cognito::{Pool, SeedUser, UserStatus};
use local_regions::faults::{Fault, Kind, Service};
use local_regions::region::{ACCESS_KEY_ID, Loss, Region, SECRET_ACCESS_KEY};
use local_regions::world::{IMPORT_LOGS_ROLE, OUTBOX, REPLICATE_WORKER, SNAPSHOTS, World};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use shared::aws::RateLimiter;
use shared::id::Id;
use shared::journal::SIGN_UPS_PREFIX;
use shared::snapshot::latest::Latest;
use shared::snapshot::layout::LATEST_KEY;
use shared::snapshot::manifest::{Manifest, Role};

use crate::Failback;
use crate::cast::{Before, Cast};
use crate::check::{self, Census, Rejected};
use crate::report::Report;

/// The time between two ticks in the drill, which is one minute in AWS.
pub const MINUTE: Duration = Duration::from_secs(2);

/// Sign-ups a second. Each makes two calls, and Cognito allows 50 calls a second (DG:quotas, UserCreation).
const SIGN_UPS_PER_SECOND: u32 = 20;
/// How many people sign up concurrently.
const CONCURRENT_SIGN_UPS: usize = 4;
/// If a step takes longer than this, the drill fails.
const STEP_TIME_LIMIT: Duration = Duration::from_secs(180);

/// The longest time that Cognito waits for a trigger (facts 2).
const TRIGGER_TIME_LIMIT: Duration = Duration::from_secs(5);

const PASSWORD: &str = "Correct-horse-7-battery";
const NEW_PASSWORD: &str = "Another-staple-8-battery";

/// Runs the drill to its end. Returns the snapshot from which the newcomers were restored.
pub async fn play(
    world: &World,
    cast: &Cast,
    way: Failback,
    report: &mut Report,
) -> anyhow::Result<Id> {
    world.osaka.close_fence();
    there_before(world, &cast.before, report).await?;
    normal_day(world, cast, report).await?;
    outage(world, cast, report).await?;
    let snapshot = failover(world, cast, report).await?;
    failback(world, cast, &snapshot, way, report).await?;
    ending(world, cast, report);
    Ok(snapshot.snapshot)
}

/// The address of the person who moves.
const NEW_ADDRESS: &str = "moved.to@drill.example.jp";

async fn there_before(world: &World, before: &Before, report: &mut Report) -> anyhow::Result<()> {
    report.act("1. People were in Tokyo before twinpool: reconcile makes the twin whole");
    let (tokyo, osaka) = (&world.tokyo, &world.osaka);
    let everyone = before.everyone();
    for profile in &everyone {
        tokyo.cognito().put_user(&world.primary.id, seed(profile));
    }
    let mirrored = before.mirrored();
    report.say(format!(
        "{} people are in Tokyo, {} of them confirmed and enabled, and nobody is in Osaka",
        everyone.len(),
        mirrored.len(),
    ));
    let created = reconcile(world, report).await?.created;
    report.promise(
        "who was there before is in Osaka, as they are",
        mirrored.len(),
        &not_replicated(world, &mirrored),
    );
    report.holds(
        "reconcile makes each of them once",
        created == mirrored.len() as u64,
    );

    let address = before.moved.email();
    disable(tokyo, &world.primary, before.banned.email()).await?;
    delete(tokyo, &world.primary, before.deleted.email()).await?;
    give_address(tokyo, &world.primary, address, NEW_ADDRESS).await?;
    report
        .say("one of them is banned, one deleted, and one gets another address: no trigger fires");
    reconcile(world, report).await?;
    let twin = Census::of(osaka, &world.secondary);
    let is_disabled = |profile| twin.find(profile).is_some_and(|user| !user.enabled);
    let is_withheld = is_disabled(&before.banned) && is_disabled(&before.deleted);
    report.holds(
        "the banned and the deleted one are disabled in Osaka",
        is_withheld,
    );
    let home = Census::of(tokyo, &world.primary);
    let has_moved = match home.at(NEW_ADDRESS) {
        Some(user) => check::replica(user, twin.at(NEW_ADDRESS)),
        None => Err("nobody in Tokyo has the new address".to_owned()),
    };
    let broken: Vec<_> = has_moved.err().into_iter().collect();
    report.promise("the moved one has the new address in Osaka", 1, &broken);
    Ok(())
}

/// The profile as a user who has been in the pool for long.
fn seed(profile: &Profile) -> SeedUser {
    SeedUser {
        status: match profile.status.as_str() {
            "UNCONFIRMED" => UserStatus::Unconfirmed,
            _ => UserStatus::Confirmed,
        },
        enabled: profile.enabled,
        attributes: profile.attributes.clone(),
        password: Some(PASSWORD.to_owned()),
        ..SeedUser::default()
    }
}

/// Invokes the worker that reconciles until it has looked at everyone.
async fn reconcile(world: &World, report: &Report) -> anyhow::Result<reconcile::request::Counts> {
    let payload = r#"{"action":"reconcile","now":true}"#;
    let begun = Instant::now();
    loop {
        let lambda = world.tokyo.lambda();
        let answer = lambda.invoke(REPLICATE_WORKER, Bytes::from_static(payload.as_bytes()));
        let answer: reconcile::request::Answer = serde_json::from_slice(&answer.await?)?;
        let counts = answer.counts;
        if answer.status == reconcile::request::Status::Complete {
            report.say(format!(
                "reconcile: {} created, {} updated, {} disabled, {} withheld, {} unchanged",
                counts.created, counts.updated, counts.disabled, counts.withheld, counts.unchanged,
            ));
            return Ok(counts);
        }
        ensure!(
            begun.elapsed() < STEP_TIME_LIMIT,
            "reconcile does not end: {answer:?}"
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn normal_day(world: &World, cast: &Cast, report: &mut Report) -> anyhow::Result<()> {
    report.act("2. A normal day: people sign up in Tokyo, and each is in Osaka");
    let sign_ups = sign_up_all(&world.tokyo, &world.primary, &cast.normal_day, report).await?;
    sign_ups.none_failed()?;
    let confirmed = sign_ups.waits.len();
    report.say(format!(
        "{} signed up and {confirmed} confirmed in Tokyo; the slowest confirmation took {} ms",
        cast.normal_day.len(),
        sign_ups.slowest(),
    ));
    outbox_drained(world, report).await?;
    let broken = not_replicated(world, &cast.normal_day);
    report.promise(
        "normal day: everyone confirmed is in Osaka, as they are",
        confirmed,
        &broken,
    );
    let mails = world.osaka.cognito().messages_sent();
    report.holds("no mail goes out from Osaka", mails == 0);
    Ok(())
}

async fn outage(world: &World, cast: &Cast, report: &mut Report) -> anyhow::Result<()> {
    report.act("3. Osaka refuses for a while: sign-ups in Tokyo go on, the outbox keeps them");
    let faults = world.osaka.faults();
    faults.add(Fault::of(Service::Cognito, Kind::Refuse));
    let sign_ups = sign_up_all(&world.tokyo, &world.primary, &cast.outage, report).await?;
    let confirmed = sign_ups.waits.len();
    let waiting = world.tokyo.s3().keys(OUTBOX, "outbox/").len();
    report.say(format!(
        "{confirmed} confirmed while Osaka refused, the slowest in {} ms; {waiting} are in the outbox",
        sign_ups.slowest(),
    ));
    let late = sign_ups
        .waits
        .iter()
        .filter(|wait| **wait > TRIGGER_TIME_LIMIT);
    let late = late.map(|wait| format!("a confirmation took {wait:?}"));
    let broken: Vec<_> = late.chain(sign_ups.failed.iter().cloned()).collect();
    report.promise(
        "Osaka refuses: no sign-up in Tokyo fails or waits over 5 s",
        confirmed + sign_ups.failed.len(),
        &broken,
    );
    report.holds("each of them waits in the outbox", waiting == confirmed);
    faults.clear();
    report.say("Osaka is back");
    outbox_drained(world, report).await?;
    let expected = enabled(&cast.outage);
    report.promise(
        "Osaka returns: the outbox drains, and they are there too",
        confirmed_of(&expected),
        &not_replicated(world, &expected),
    );
    Ok(())
}

async fn failover(world: &World, cast: &Cast, report: &mut Report) -> anyhow::Result<Manifest> {
    report.act("4. Tokyo is lost: twinpool failover opens the fence, people go on in Osaka");
    world.tokyo.lose(Loss::Hang);
    let osaka = Visitor::of(&world.osaka, &world.secondary);
    let stranger = cast.newcomers.first().context("a newcomer")?;
    let kept_out = match osaka.sign_up(stranger, PASSWORD).await {
        Ok(_) => false,
        Err(error) => format!("{error:#}").contains("ForbiddenException"),
    };
    report.holds("a closed fence keeps the public out of Osaka", kept_out);
    let opened = twinpool(world, &["failover", "--yes"]).await?;
    report.say(format!(
        "twinpool failover: {}",
        said(&opened, "prove-open").unwrap_or_default()
    ));
    report.holds(
        "twinpool failover opens it, and proves that from outside",
        opened.is_complete(),
    );

    let returning: Vec<_> = cast
        .outage
        .iter()
        .chain(&cast.normal_day)
        .filter(|profile| profile.kind == "plain")
        .take(5)
        .collect();
    ensure!(!returning.is_empty(), "nobody of kind \"plain\" to return");
    let mut broken = Vec::new();
    for profile in &returning {
        if let Err(error) = resets_and_signs_in(&osaka, profile.email()).await {
            broken.push(format!("{error:#}"));
        }
    }
    report.promise(
        "a replica resets its password, sets up MFA, and signs in",
        returning.len(),
        &broken,
    );

    who_was_there_before_enters(&osaka, &cast.before, report).await?;

    let (_, early) = late_and_early(cast);
    let sign_ups = sign_up_all(&world.osaka, &world.secondary, &early, report).await?;
    sign_ups.none_failed()?;
    report.say(format!(
        "{} newcomers confirmed in Osaka, the slowest in {} ms; waiting for a snapshot of them all",
        sign_ups.waits.len(),
        sign_ups.slowest(),
    ));
    let manifest = snapshot_of(world, &early).await?;
    let users = &manifest.users;
    report.say(format!(
        "snapshot {}: {} users, {} in the import files, {} of them newcomers, {} rejected",
        manifest.snapshot,
        users.listed,
        users.exported,
        users.newcomers,
        users.total_rejected(),
    ));
    let mut broken = wrong_files(world, &manifest)?;
    if users.listed != users.exported + users.total_rejected() {
        broken.push("listed is not exported and rejected".to_owned());
    }
    report.promise(
        "the snapshot is complete, its files as the manifest says",
        manifest.files.len(),
        &broken,
    );
    Ok(manifest)
}

/// Who was there before twinpool can enter as they could in Tokyo, and whoever could not any more cannot.
async fn who_was_there_before_enters(
    osaka: &Visitor,
    before: &Before,
    report: &mut Report,
) -> anyhow::Result<()> {
    let plain = before.unchanged.iter();
    let plain = plain.filter(|profile| profile.kind == "plain").take(5);
    let addresses: Vec<_> = plain.map(Profile::email).collect();
    ensure!(
        !addresses.is_empty(),
        "nobody of kind \"plain\" was there before"
    );
    let mut broken = Vec::new();
    for address in &addresses {
        if let Err(error) = resets_and_signs_in(osaka, address).await {
            broken.push(format!("{error:#}"));
        }
    }
    report.promise(
        "who was there before resets the password, and signs in",
        addresses.len(),
        &broken,
    );
    for (what, address) in [
        ("the banned one cannot enter", before.banned.email()),
        ("the deleted one cannot enter", before.deleted.email()),
        ("nobody enters with the old address", before.moved.email()),
    ] {
        let entered = resets_and_signs_in(osaka, address).await;
        report.holds(what, entered.is_err());
    }
    let entered = resets_and_signs_in(osaka, NEW_ADDRESS).await;
    report.holds("the moved one enters with the new address", entered.is_ok());
    Ok(())
}

async fn failback(
    world: &World,
    cast: &Cast,
    manifest: &Manifest,
    way: Failback,
    report: &mut Report,
) -> anyhow::Result<()> {
    report.act(match way {
        Failback::Restore => "5. Tokyo is back: twinpool failback brings the newcomers home",
        Failback::Console => {
            "5. Tokyo is back: the operator uploads newcomers-0001.csv as the console does"
        }
    });
    world.tokyo.restore();
    if let Failback::Console = way {
        upload(world, manifest, report).await?;
    }
    let (late, _) = late_and_early(cast);
    let watch = Watch::new(world, cast, &late)?;
    let (first, rest) = late.split_at(late.len().min(1));
    sign_up_all(&world.osaka, &world.secondary, first, report)
        .await?
        .none_failed()?;
    let back = twinpool(world, &["failback", "--yes", "--prefer", "secondary"]);
    let signing_up = async {
        // People go on while it begins.
        let sign_ups = sign_up_all(&world.osaka, &world.secondary, rest, report).await?;
        sign_ups.none_failed()?;
        Ok::<_, anyhow::Error>(Instant::now())
    };
    let begun = Instant::now();
    let both = async { tokio::try_join!(back, signing_up) };
    let (both, seen) = watch.until(both).await;
    let (back, last_sign_up) = both?;
    let took = begun.elapsed();
    for step in ["bring-home", "bring-last-home", "compare", "prove-closed"] {
        if let Some(said) = said(&back, step) {
            report.say(format!("twinpool failback, {step}: {said}"));
        }
    }
    report.say(format!(
        "twinpool failback took {:.1} s; its evidence is failovers/{}.json",
        took.as_secs_f64(),
        back.run
    ));
    report.holds(
        "twinpool failback is complete: everyone home, the fence closed",
        back.is_complete(),
    );
    let waiting = world.osaka.s3().keys(SNAPSHOTS, SIGN_UPS_PREFIX).len();
    report.holds("no sign-up waits in the journal any more", waiting == 0);
    report.holds(
        "who was in Tokyo before can sign in at every moment",
        seen.tries > 0 && seen.before_locked_out.is_zero(),
    );
    let home_at = seen.all_home_at.context("not every newcomer came home")?;
    report.measure(
        "seconds from the last sign-up in Osaka to the last newcomer home",
        home_at.saturating_duration_since(last_sign_up),
    );
    report.measure(
        "seconds in which nobody could sign in, of those who were in Tokyo before",
        seen.before_locked_out,
    );
    report.measure(
        "seconds in which a newcomer could sign in neither in Osaka nor in Tokyo",
        seen.newcomer_locked_out,
    );

    let tokyo = Visitor::of(&world.tokyo, &world.primary);
    let home = Census::of(&world.tokyo, &world.primary);
    let imported = cast.newcomers.iter().find(|profile| {
        home.find(profile)
            .is_some_and(|user| user.status == UserStatus::ResetRequired)
    });
    let imported = imported.context("nobody was imported")?;
    let signed_in = resets_and_signs_in(&tokyo, imported.email()).await;
    report.holds(
        "a newcomer resets the password in Tokyo, and signs in",
        signed_in.is_ok(),
    );
    outbox_drained(world, report).await
}

fn ending(world: &World, cast: &Cast, report: &mut Report) {
    report.act("6. The check: every confirmed person is in both pools");
    let tokyo = Census::of(&world.tokyo, &world.primary);
    let osaka = Census::of(&world.osaka, &world.secondary);
    let before = enabled(&cast.before.unchanged);
    let signed_up_in_tokyo = [before, cast.normal_day.clone(), enabled(&cast.outage)].concat();
    report.promise(
        "who signed up in Tokyo is in Osaka",
        confirmed_of(&signed_up_in_tokyo),
        &not_replicated(world, &signed_up_in_tokyo),
    );

    let (expected, unconfirmed): (Vec<_>, Vec<_>) = cast
        .newcomers
        .iter()
        .partition(|profile| profile.status == "CONFIRMED");
    let broken: Vec<_> = expected
        .iter()
        .filter_map(|profile| match osaka.find(profile) {
            Some(user) => check::newcomer(user, tokyo.find(profile)).err(),
            None => Some("a newcomer is no longer in Osaka".to_owned()),
        })
        .collect();
    report.promise(
        "who signed up in Osaka is in Tokyo, as they are",
        expected.len(),
        &broken,
    );
    let broken: Vec<_> = unconfirmed
        .iter()
        .filter(|profile| tokyo.find(profile).is_some())
        .map(|_| "somebody who never confirmed is in Tokyo".to_owned())
        .collect();
    report.promise(
        "who never confirmed in Osaka did not come to Tokyo",
        unconfirmed.len(),
        &broken,
    );
}

/// The results of a group of sign-ups.
struct SignUps {
    /// The duration of each confirmation.
    waits: Vec<Duration>,
    /// The errors.
    failed: Vec<String>,
}

impl SignUps {
    fn slowest(&self) -> u128 {
        let slowest = self.waits.iter().max().copied();
        slowest.unwrap_or_default().as_millis()
    }

    fn none_failed(&self) -> anyhow::Result<()> {
        match self.failed.first() {
            None => Ok(()),
            Some(first) => bail!("{} sign-ups failed: {first} …", self.failed.len()),
        }
    }
}

/// Those whom nobody disables. Whoever is disabled in Tokyo before they are in Osaka is not brought there.
fn enabled(people: &[Profile]) -> Vec<Profile> {
    let enabled = people.iter().filter(|profile| profile.enabled);
    enabled.cloned().collect()
}

fn confirmed_of(people: &[Profile]) -> usize {
    let confirmed = people.iter().filter(|p| p.status == "CONFIRMED");
    confirmed.count()
}

/// Signs everyone up. People are confirmed and disabled as their profiles say.
async fn sign_up_all(
    region: &Region,
    pool: &Pool,
    people: &[Profile],
    report: &Report,
) -> anyhow::Result<SignUps> {
    let visitor = &Visitor::of(region, pool);
    let limiter = &RateLimiter::per_second(SIGN_UPS_PER_SECOND);
    let bar = &report.bar("sign-ups", people.len());
    let mut sign_ups = stream::iter(people)
        .map(|profile| async move {
            limiter.acquire().await;
            let signed_up = sign_up(visitor, profile).await;
            bar.inc(1);
            (profile, signed_up)
        })
        .buffer_unordered(CONCURRENT_SIGN_UPS);
    let mut outcome = SignUps {
        waits: Vec::new(),
        failed: Vec::new(),
    };
    while let Some((profile, signed_up)) = sign_ups.next().await {
        match signed_up {
            Ok(wait) => outcome.waits.extend(wait),
            Err(error) => {
                let kind = &profile.kind;
                outcome
                    .failed
                    .push(format!("a person of kind {kind:?}: {error:#}"));
            }
        }
        if !profile.enabled {
            disable(region, pool, profile.email()).await?;
        }
    }
    bar.finish_and_clear();
    Ok(outcome)
}

/// Signs a person up and confirms them, unless the profile is unconfirmed. Returns the duration of the confirmation.
async fn sign_up(visitor: &Visitor, profile: &Profile) -> anyhow::Result<Option<Duration>> {
    visitor.sign_up(profile, PASSWORD).await?;
    if profile.status == "UNCONFIRMED" {
        return Ok(None);
    }
    let begun = Instant::now();
    visitor.confirm(profile.email()).await?;
    Ok(Some(begun.elapsed()))
}

async fn disable(region: &Region, pool: &Pool, email: &str) -> anyhow::Result<()> {
    region
        .cognito_client()
        .admin_disable_user()
        .user_pool_id(&pool.id)
        .username(email)
        .send()
        .await
        .map_err(|e| e.into_service_error())
        .context("AdminDisableUser")?;
    Ok(())
}

async fn delete(region: &Region, pool: &Pool, email: &str) -> anyhow::Result<()> {
    region
        .cognito_client()
        .admin_delete_user()
        .user_pool_id(&pool.id)
        .username(email)
        .send()
        .await
        .map_err(|e| e.into_service_error())
        .context("AdminDeleteUser")?;
    Ok(())
}

/// Gives somebody another verified address.
async fn give_address(region: &Region, pool: &Pool, from: &str, to: &str) -> anyhow::Result<()> {
    let attribute = |name: &str, value: &str| {
        let attribute = AttributeType::builder().name(name).value(value);
        attribute.build().expect("it has a name")
    };
    region
        .cognito_client()
        .admin_update_user_attributes()
        .user_pool_id(&pool.id)
        .username(from)
        .user_attributes(attribute("email", to))
        .user_attributes(attribute("email_verified", "true"))
        .send()
        .await
        .map_err(|e| e.into_service_error())
        .context("AdminUpdateUserAttributes")?;
    Ok(())
}

/// Restores with the console: one import job of `newcomers-0001.csv`.
async fn upload(world: &World, manifest: &Manifest, report: &mut Report) -> anyhow::Result<()> {
    let rows = manifest.users.newcomers;
    let csv = object_of(world, manifest, Role::Newcomers)?;
    let job = operator::import(&world.tokyo, &world.primary, csv).await?;
    report.say(format!(
        "the import job ended as {:?}: {} imported, {} skipped, {} failed",
        job.status, job.imported, job.skipped, job.failed
    ));
    let not_imported = job
        .log
        .iter()
        .filter(|line| !line.starts_with("[SUCCEEDED]"));
    let not_imported: Vec<_> = not_imported.cloned().collect();
    report.promise(
        "every row of newcomers-0001.csv is imported",
        rows as usize,
        &not_imported,
    );
    Ok(())
}

/// The newcomers who sign up while the failback runs, and the others.
fn late_and_early(cast: &Cast) -> (Vec<Profile>, Vec<Profile>) {
    let newcomers = cast.newcomers.iter().cloned();
    let is_plain = |profile: &Profile| {
        profile.kind == "plain" && profile.status == "CONFIRMED" && profile.enabled
    };
    let (mut late, mut early): (Vec<_>, Vec<_>) = newcomers.partition(is_plain);
    // One of them signs up early: whether they can sign in is tried all the time.
    early.extend(late.split_off(late.len().saturating_sub(1).min(LATE)));
    (late, early)
}

/// How many newcomers sign up while the failback runs.
const LATE: usize = 3;

/// The evidence that a command leaves.
#[derive(Deserialize)]
struct Evidence {
    run: Id,
    status: String,
    steps: Vec<EvidenceStep>,
}

#[derive(Deserialize)]
struct EvidenceStep {
    step: String,
    counted: BTreeMap<String, u64>,
    seen: Vec<String>,
}

impl Evidence {
    fn is_complete(&self) -> bool {
        self.status == "complete"
    }
}

/// What was counted and seen in a step.
fn said(evidence: &Evidence, name: &str) -> Option<String> {
    let step = evidence.steps.iter().rev().find(|step| step.step == name)?;
    let counted = step.counted.iter();
    let counted = counted.map(|(what, number)| format!("{number} {what}"));
    let all: Vec<_> = counted.chain(step.seen.iter().cloned()).collect();
    Some(all.join(", "))
}

/// Runs `twinpool failover` or `twinpool failback` as the operator does.
async fn twinpool(world: &World, arguments: &[&str]) -> anyhow::Result<Evidence> {
    let binary = tokio::task::spawn_blocking(|| local_regions::binary("twinpool")).await??;
    let output = tokio::process::Command::new(binary)
        .args(["--output", "json"])
        .args(arguments)
        .env("TWINPOOL_PRIMARY", &world.primary.id)
        .env("TWINPOOL_SECONDARY", &world.secondary.id)
        .env("TWINPOOL_BUCKET", SNAPSHOTS)
        .env("TWINPOOL_OUTBOX", OUTBOX)
        .env("TWINPOOL_IMPORT_ROLE", IMPORT_LOGS_ROLE)
        .env("AWS_ENDPOINT_URL", world.osaka.endpoint())
        .env("AWS_REGION", world.osaka.name())
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .output()
        .await?;
    let words = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).with_context(|| format!("twinpool: {words}"))
}

/// Tries all the time whether people can sign in, and looks whether the newcomers are home.
struct Watch<'a> {
    world: &'a World,
    tokyo: Visitor,
    osaka: Visitor,
    /// Somebody who was in Tokyo before.
    before: &'a Profile,
    newcomer: &'a Profile,
    newcomers: &'a [Profile],
}

/// What was seen.
#[derive(Default)]
struct Watched {
    tries: u32,
    before_locked_out: Duration,
    newcomer_locked_out: Duration,
    all_home_at: Option<Instant>,
}

/// The time between two tries.
const TRY_EVERY: Duration = Duration::from_millis(100);

impl<'a> Watch<'a> {
    fn new(world: &'a World, cast: &'a Cast, late: &'a [Profile]) -> anyhow::Result<Self> {
        let is_plain =
            |profile: &&Profile| profile.kind == "plain" && profile.status == "CONFIRMED";
        let newcomers = &cast.newcomers;
        let mut early = newcomers.iter().filter(|newcomer| {
            newcomer.enabled
                && is_plain(newcomer)
                && late.iter().all(|l| l.email() != newcomer.email())
        });
        Ok(Self {
            world,
            tokyo: Visitor::of(&world.tokyo, &world.primary),
            osaka: Visitor::of(&world.osaka, &world.secondary),
            before: cast.normal_day.iter().find(is_plain).context("nobody")?,
            newcomer: early.next().context("no newcomer of kind \"plain\"")?,
            newcomers,
        })
    }

    /// Watches until something has ended.
    async fn until<T>(&self, work: impl Future<Output = T>) -> (T, Watched) {
        let mut watched = Watched::default();
        let mut work = std::pin::pin!(work);
        let mut last = Instant::now();
        loop {
            tokio::select! {
                done = &mut work => return (done, watched),
                () = tokio::time::sleep(TRY_EVERY) => {}
            }
            let before = self.tokyo.signs_in(self.before.email(), PASSWORD).await;
            let newcomer = self.osaka.signs_in(self.newcomer.email(), PASSWORD).await;
            let home = Census::of(&self.world.tokyo, &self.world.primary);
            // At home, the first step is to reset the password.
            let newcomer_enters = newcomer.is_ok() || home.find(self.newcomer).is_some();
            let since = last.elapsed();
            last = Instant::now();
            watched.tries += 1;
            if before.is_err() {
                watched.before_locked_out += since;
            }
            if !newcomer_enters {
                watched.newcomer_locked_out += since;
            }
            let mut expected = self.newcomers.iter();
            let all_home = expected
                .all(|profile| profile.status != "CONFIRMED" || home.find(profile).is_some());
            if all_home {
                watched.all_home_at.get_or_insert(last);
            }
        }
    }
}

async fn resets_and_signs_in(visitor: &Visitor, email: &str) -> anyhow::Result<()> {
    visitor.reset_password(email, NEW_PASSWORD).await?;
    visitor.set_up_mfa_and_sign_in(email, NEW_PASSWORD).await?;
    Ok(())
}

/// Waits until the worker has emptied the outbox, which it processes with every tick.
async fn outbox_drained(world: &World, report: &Report) -> anyhow::Result<()> {
    let depth = || world.tokyo.s3().keys(OUTBOX, "outbox/").len();
    let deepest = depth();
    let bar = report.bar("outbox drained", deepest);
    let begun = Instant::now();
    while depth() > 0 {
        ensure!(
            begun.elapsed() < STEP_TIME_LIMIT,
            "the outbox still holds {} records",
            depth()
        );
        bar.set_position(deepest.saturating_sub(depth()) as u64);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bar.finish_and_clear();
    Ok(())
}

fn not_replicated(world: &World, people: &[Profile]) -> Vec<String> {
    let tokyo = Census::of(&world.tokyo, &world.primary);
    let osaka = Census::of(&world.osaka, &world.secondary);
    let confirmed = people
        .iter()
        .filter(|profile| profile.status == "CONFIRMED");
    confirmed
        .filter_map(|profile| match tokyo.find(profile) {
            Some(user) => check::replica(user, osaka.find(profile)).err(),
            None => Some("somebody who confirmed is not in Tokyo".to_owned()),
        })
        .collect()
}

/// Waits until the latest snapshot contains every newcomer, in its import files or in `rejected.csv`.
async fn snapshot_of(world: &World, newcomers: &[Profile]) -> anyhow::Result<Manifest> {
    let begun = Instant::now();
    let mut last = None;
    while begun.elapsed() < STEP_TIME_LIMIT {
        if let Some(latest) = world.osaka.s3().object(SNAPSHOTS, LATEST_KEY) {
            let latest: Latest = serde_json::from_slice(&latest)?;
            ensure!(
                last <= Some(latest.snapshot.clone()),
                "latest.json went backwards"
            );
            let manifest = world.osaka.s3().object(SNAPSHOTS, &latest.manifest);
            let manifest = manifest.context("latest.json names no snapshot")?;
            let manifest: Manifest = serde_json::from_slice(&manifest)?;
            let rejected = Rejected::read(&object_of(world, &manifest, Role::Rejected)?)?;
            let named = newcomers.iter().filter(|profile| rejected.names(profile));
            if manifest.users.newcomers as usize + named.count() == newcomers.len() {
                return Ok(manifest);
            }
            last = Some(latest.snapshot);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("no snapshot of all newcomers has come");
}

fn object_of(world: &World, manifest: &Manifest, role: Role) -> anyhow::Result<Vec<u8>> {
    let mut files = manifest.files.iter().filter(|file| file.role == role);
    let file = files
        .next()
        .with_context(|| format!("no file of {role:?}"))?;
    ensure!(files.next().is_none(), "more than one file of {role:?}");
    let object = world.osaka.s3().object(SNAPSHOTS, &file.key);
    object.with_context(|| format!("{} is not there", file.key))
}

fn wrong_files(world: &World, manifest: &Manifest) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for file in &manifest.files {
        let object = world.osaka.s3().object(SNAPSHOTS, &file.key);
        let object = object.unwrap_or_default();
        let digest = format!("{:x}", Sha256::digest(&object));
        if digest != file.sha256 || object.len() as u64 != file.bytes {
            wrong.push(format!("{} is not what the manifest says", file.key));
        }
    }
    Ok(wrong)
}
