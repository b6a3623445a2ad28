//! The regions, the configuration that the page reads, and what each button does.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, ensure};
use local_regions::cognito::Pool;
use local_regions::region::{ACCESS_KEY_ID, Loss, Region, SECRET_ACCESS_KEY};
use local_regions::schedule::ScheduleOptions;
use local_regions::world::{IMPORT_LOGS_ROLE, OSAKA, OUTBOX, SNAPSHOTS, World, WorldOptions};
use serde_json::{Value, json};
use tokio::process::Command;

/// How long a minute of the schedule takes.
const MINUTE: Duration = Duration::from_secs(2);

/// The buttons, in the order of a failover.
const STEPS: [Step; 10] = [
    Step {
        id: "lose-tokyo",
        label: "Tokyo is lost",
        action: Action::LoseTokyo,
    },
    Step {
        id: "open-fence",
        label: "Open the fence",
        action: Action::Twinpool(&["fence", "open", "--yes"]),
    },
    Step {
        id: "use-osaka",
        label: "Switch the application to Osaka",
        action: Action::Switch("secondary"),
    },
    Step {
        id: "tokyo-is-back",
        label: "Tokyo is back",
        action: Action::TokyoIsBack,
    },
    Step {
        id: "bring-home",
        label: "Bring people home",
        action: Action::Twinpool(&["restore"]),
    },
    Step {
        id: "no-sign-ups",
        label: "Keep sign-ups out",
        action: Action::Twinpool(&["fence", "no-sign-ups"]),
    },
    Step {
        id: "maintenance",
        label: "Maintenance mode",
        action: Action::Switch("maintenance"),
    },
    Step {
        id: "use-tokyo",
        label: "Switch the application to Tokyo",
        action: Action::Switch("primary"),
    },
    Step {
        id: "close-fence",
        label: "Close the fence",
        action: Action::Twinpool(&["fence", "close"]),
    },
    Step {
        id: "status",
        label: "Status",
        action: Action::Twinpool(&["status"]),
    },
];

/// What is printed after a command that did not do its work.
const FAILED: &str = "exit code";

/// A button.
struct Step {
    id: &'static str,
    label: &'static str,
    action: Action,
}

/// What a button does.
#[derive(Clone, Copy)]
enum Action {
    /// The outage begins.
    LoseTokyo,
    /// The outage ends.
    TokyoIsBack,
    /// The operator writes the configuration that the application reads.
    Switch(&'static str),
    /// The operator runs a command.
    Twinpool(&'static [&'static str]),
}

/// The regions, and what has happened to them.
pub struct Drill {
    world: World,
    state: Mutex<State>,
}

struct State {
    active: &'static str,
    is_tokyo_lost: bool,
    is_running: bool,
    log: String,
    mails: Vec<Mail>,
}

/// A message with a code.
struct Mail {
    city: &'static str,
    to: String,
    code: String,
}

impl Drill {
    /// Starts the regions, with the fence closed as on a normal day.
    ///
    /// # Errors
    ///
    /// A port is in use, or a binary cannot be built.
    pub async fn start(ports: [u16; 2]) -> anyhow::Result<Self> {
        let world = World::start(WorldOptions {
            ports,
            schedule: Some(ScheduleOptions {
                tick: MINUTE,
                delay: MINUTE / 4,
                retry_pause: MINUTE,
                ..ScheduleOptions::default()
            }),
            ..WorldOptions::default()
        })
        .await?;
        world.osaka.close_fence();
        let state = State {
            active: "primary",
            is_tokyo_lost: false,
            is_running: false,
            log: String::new(),
            mails: Vec::new(),
        };
        let drill = Self {
            world,
            state: Mutex::new(state),
        };
        // What has happened on every normal day. It also builds the command, so that no button has to.
        for command in ["reconcile", "snapshot"] {
            let printed = drill.twinpool(&[command]).await?;
            ensure!(!printed.contains(FAILED), "{printed}");
        }
        Ok(drill)
    }

    /// The configuration that the application reads. `endpoint` is there because these regions are not AWS.
    pub fn configuration(&self) -> Value {
        let pool = |pool: &Pool, region: &Region| json!({"userPoolId": pool.id, "clientId": pool.client_id, "endpoint": region.endpoint()});
        json!({
            "active": self.state().active,
            "primary": pool(&self.world.primary, &self.world.tokyo),
            "secondary": pool(&self.world.secondary, &self.world.osaka),
        })
    }

    /// What stands beside the page.
    pub fn show(&self) -> Value {
        let world = &self.world;
        let outbox = world.tokyo.s3().keys(OUTBOX, "outbox/").len();
        let count = |region: &Region, pool: &Pool| region.cognito().users(&pool.id).len();
        let tokyo = count(&world.tokyo, &world.primary);
        let osaka = count(&world.osaka, &world.secondary);
        let mut state = self.state();
        self.collect_mails(&mut state);
        let steps = STEPS
            .iter()
            .map(|step| json!({"id": step.id, "label": step.label}));
        let mails = state.mails.iter().rev();
        let mails = mails.map(|mail| json!({"city": mail.city, "to": mail.to, "code": mail.code}));
        json!({
            "regions": [
                {"city": "Tokyo", "lost": state.is_tokyo_lost, "facts": format!("people: {tokyo}, in the outbox: {outbox}")},
                {"city": "Osaka", "lost": false, "facts": format!("people: {osaka}")},
            ],
            "steps": steps.collect::<Vec<_>>(),
            "mails": mails.collect::<Vec<_>>(),
            "log": state.log,
            "running": state.is_running,
        })
    }

    /// Begins what a button does; false if there is no such button, or another step is running.
    pub fn begin(self: &Arc<Self>, id: &str) -> bool {
        let Some(step) = STEPS.iter().find(|step| step.id == id) else {
            return false;
        };
        let mut state = self.state();
        if state.is_running {
            return false;
        }
        state.is_running = true;
        let drill = self.clone();
        tokio::spawn(async move {
            let said = drill.perform(step.action).await;
            let said = said.unwrap_or_else(|error| format!("{error:#}\n"));
            let mut state = drill.state();
            state.log.push_str(&said);
            state.is_running = false;
        });
        true
    }

    async fn perform(&self, action: Action) -> anyhow::Result<String> {
        match action {
            Action::LoseTokyo => {
                self.world.tokyo.lose(Loss::Refuse);
                self.state().is_tokyo_lost = true;
                Ok("Nothing in Tokyo answers any more.\n".to_owned())
            }
            Action::TokyoIsBack => {
                self.world.tokyo.restore();
                self.state().is_tokyo_lost = false;
                Ok("Tokyo answers again.\n".to_owned())
            }
            Action::Switch(active) => {
                self.state().active = active;
                Ok(format!(
                    "The configuration says \"active\": \"{active}\".\n"
                ))
            }
            Action::Twinpool(arguments) => self.twinpool(arguments).await,
        }
    }

    /// Runs the command line with the operator's credentials and settings, and returns what it prints, and its exit code if something is wrong.
    async fn twinpool(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let binary = tokio::task::spawn_blocking(|| local_regions::binary("twinpool")).await??;
        let output = Command::new(binary)
            .args(arguments)
            .env("AWS_ENDPOINT_URL", self.world.osaka.endpoint())
            .env("AWS_REGION", OSAKA)
            .env("TWINPOOL_PRIMARY", &self.world.primary.id)
            .env("TWINPOOL_SECONDARY", &self.world.secondary.id)
            .env("TWINPOOL_OUTBOX", OUTBOX)
            .env("TWINPOOL_BUCKET", SNAPSHOTS)
            .env("TWINPOOL_BUCKET_REGION", OSAKA)
            .env("TWINPOOL_IMPORT_ROLE", IMPORT_LOGS_ROLE)
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .context("cannot run twinpool")?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (printed, problems) = (text(&output.stdout), text(&output.stderr));
        let ended = match output.status.code() {
            Some(0) => String::new(),
            Some(code) => format!("({FAILED} {code})\n"),
            None => format!("({FAILED} none: {})\n", output.status),
        };
        Ok(format!(
            "$ twinpool {}\n{printed}{problems}{ended}",
            arguments.join(" ")
        ))
    }

    /// Adds the messages that have been sent since the last time.
    fn collect_mails(&self, state: &mut State) {
        let mut known: HashMap<(&str, String), usize> = HashMap::new();
        for mail in &state.mails {
            *known.entry((mail.city, mail.to.clone())).or_default() += 1;
        }
        for (city, region, pool) in [
            ("Tokyo", &self.world.tokyo, &self.world.primary),
            ("Osaka", &self.world.osaka, &self.world.secondary),
        ] {
            for user in region.cognito().users(&pool.id) {
                let Some(to) = user.attributes.get("email") else {
                    continue;
                };
                let seen = known.get(&(city, to.clone())).copied().unwrap_or_default();
                let codes = region.cognito().codes_sent_to(to);
                let new = codes.into_iter().skip(seen);
                state.mails.extend(new.map(|code| Mail {
                    city,
                    to: to.clone(),
                    code,
                }));
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no thread panicked while it held the lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness::people::Profile;
    use harness::visitor::Visitor;

    /// Presses a button, and returns what is printed.
    async fn press(drill: &Drill, id: &str) -> String {
        let step = STEPS.iter().find(|step| step.id == id).expect("a button");
        let printed = drill.perform(step.action).await.expect("it can be run");
        assert!(!printed.contains(FAILED), "{printed}");
        printed
    }

    /// Whether somebody can sign up.
    async fn takes_sign_ups(region: &Region, pool: &Pool, email: &str) -> bool {
        let person = Profile {
            kind: "plain".to_owned(),
            status: "CONFIRMED".to_owned(),
            enabled: true,
            attributes: [("email".to_owned(), email.to_owned())].into(),
        };
        let visitor = Visitor::of(region, pool);
        match visitor.sign_up(&person, "Correct-horse-1").await {
            Ok(_) => visitor.confirm(email).await.is_ok(),
            Err(_) => false,
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn given_a_failover_when_each_button_is_pressed_then_it_does_what_it_says() {
        let drill = Drill::start([0, 0]).await.expect("the regions start");
        let World {
            tokyo,
            osaka,
            primary,
            secondary,
            ..
        } = &drill.world;
        let newcomer = "hanako@example.jp";
        let is_home = || {
            let mut users = tokyo.cognito().users(&primary.id).into_iter();
            users.any(|user| {
                user.attributes
                    .get("email")
                    .is_some_and(|email| email == newcomer)
            })
        };

        press(&drill, "lose-tokyo").await;
        assert!(!takes_sign_ups(tokyo, primary, "lost@example.jp").await);
        assert!(!takes_sign_ups(osaka, secondary, newcomer).await);
        press(&drill, "open-fence").await;
        assert!(takes_sign_ups(osaka, secondary, newcomer).await);
        press(&drill, "use-osaka").await;
        assert_eq!(drill.configuration()["active"], "secondary");
        press(&drill, "tokyo-is-back").await;
        assert!(takes_sign_ups(tokyo, primary, "back@example.jp").await);
        assert!(!is_home());
        press(&drill, "bring-home").await;
        assert!(is_home());
        press(&drill, "no-sign-ups").await;
        assert!(!takes_sign_ups(osaka, secondary, "late@example.jp").await);
        press(&drill, "bring-home").await;
        press(&drill, "maintenance").await;
        assert_eq!(drill.configuration()["active"], "maintenance");
        press(&drill, "use-tokyo").await;
        assert_eq!(drill.configuration()["active"], "primary");
        press(&drill, "close-fence").await;
        assert!(!takes_sign_ups(osaka, secondary, "closed@example.jp").await);
        assert!(press(&drill, "status").await.contains("closed"));
    }
}
