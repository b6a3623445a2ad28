//! `make regions`: the binary that runs both regions on their fixed ports.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::config::{BehaviorVersion, Credentials, Region};
use local_regions::region::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

/// A process that is killed at the end of the test if it is still running.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_regions_run_until_ctrl_c_and_print_their_endpoints() {
    let ports = [4501, 4503];
    if std::env::var_os("CI").is_none()
        && ports
            .iter()
            .any(|port| TcpListener::bind(("127.0.0.1", *port)).is_err())
    {
        println!("skipped: the ports are in use, perhaps by your own `make regions`");
        return;
    }
    let child = Command::new(env!("CARGO_BIN_EXE_regions"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let printed: Vec<String> = lines
        .map_while(Result::ok)
        .take_while(|line| !line.starts_with("Ctrl-C"))
        .collect();
    let after = |label: &str, nth: usize| {
        let mut lines = printed.iter().filter(|line| line.trim().starts_with(label));
        let line = lines
            .nth(nth)
            .unwrap_or_else(|| panic!("{label} is not printed"));
        line.split_whitespace().last().unwrap().to_owned()
    };

    for (nth, (region, port)) in ["ap-northeast-1", "ap-northeast-3"]
        .into_iter()
        .zip(ports)
        .enumerate()
    {
        assert_eq!(after("endpoint", nth), format!("http://127.0.0.1:{port}"));
        let config = aws_sdk_cognitoidentityprovider::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region))
            .endpoint_url(after("endpoint", nth))
            .credentials_provider(Credentials::new(
                ACCESS_KEY_ID,
                SECRET_ACCESS_KEY,
                None,
                None,
                "test",
            ))
            .http_client(aws_smithy_http_client::Builder::new().build_http());
        let pool = Client::from_conf(config.build())
            .describe_user_pool()
            .user_pool_id(after("user pool", nth))
            .send()
            .await;
        assert!(pool.is_ok(), "{pool:?}");
    }

    // A killed process would leave its folder; Ctrl-C lets it delete the folder.
    let folder = printed
        .iter()
        .find_map(|line| line.strip_prefix("Objects and logs are in "));
    let folder = folder.and_then(|line| line.strip_suffix(". To try it:"));
    let folder = Path::new(folder.expect("the folder is printed"));
    assert!(folder.exists());
    let process = running.0.id().to_string();
    let interrupt = Command::new("kill").args(["-INT", &process]).status();
    assert!(interrupt.unwrap().success());
    assert!(running.0.wait().unwrap().success());
    assert!(!folder.exists());
}
