//! boto3 as a client of the local regions.

use local_regions::region::ACCESS_KEY_ID;
use local_regions::world::OUTBOX;

use super::world;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_works_unmodified() {
    let tests = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let python = match std::env::var_os("TWINPOOL_PYTHON") {
        Some(python) => python.into(),
        None => tests.join("../target/python/bin/python"),
    };
    if !python.exists() && std::env::var_os("CI").is_none() {
        println!(
            "skipped: there is no {}; `make test` creates it",
            python.display()
        );
        return;
    }
    let world = world().await;

    let output = tokio::process::Command::new(&python)
        .arg(tests.join("python/regions.py"))
        .env_clear()
        .envs([
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
            (
                "AWS_SECRET_ACCESS_KEY",
                local_regions::region::SECRET_ACCESS_KEY,
            ),
            ("AWS_REGION", world.tokyo.name()),
            ("AWS_DEFAULT_REGION", world.tokyo.name()),
            ("AWS_ENDPOINT_URL", world.tokyo.endpoint()),
            // Cognito's quotas are in force, and boto3's own default does not retry what they answer.
            ("AWS_RETRY_MODE", "standard"),
            ("AWS_MAX_ATTEMPTS", "10"),
            ("POOL", &world.primary.id),
            ("CLIENT", &world.primary.client_id),
            ("BUCKET", OUTBOX),
        ])
        .output()
        .await
        .expect("python runs");

    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{err}");
}
