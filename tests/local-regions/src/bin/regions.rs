//! Runs both regions on fixed ports until Ctrl-C, so that any AWS client can be tried with them.

use std::process::ExitCode;

use local_regions::region::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use local_regions::schedule::ScheduleOptions;
use local_regions::world::{OUTBOX, SNAPSHOTS, World, WorldOptions};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    let world = World::start(WorldOptions {
        ports: [4501, 4503],
        schedule: Some(ScheduleOptions::default()),
        ..WorldOptions::default()
    })
    .await?;
    for (city, region, pool, bucket) in [
        ("Tokyo", &world.tokyo, &world.primary, OUTBOX),
        ("Osaka", &world.osaka, &world.secondary, SNAPSHOTS),
    ] {
        println!("{city} ({})", region.name());
        println!("  endpoint    {}", region.endpoint());
        println!("  user pool   {}", pool.id);
        println!("  app client  {}", pool.client_id);
        println!("  bucket      {bucket}\n");
    }
    let endpoint = world.tokyo.endpoint();
    let client = &world.primary.client_id;
    let pool = &world.primary.id;
    println!(
        "Objects and logs are in {}. To try it:

  export AWS_ACCESS_KEY_ID={ACCESS_KEY_ID}
  export AWS_SECRET_ACCESS_KEY={SECRET_ACCESS_KEY}
  export AWS_REGION={} AWS_ENDPOINT_URL={endpoint}

  aws cognito-idp sign-up --endpoint-url {endpoint} --client-id {client} --username taro@example.jp --password 'Correct-horse-1'
  aws cognito-idp admin-confirm-sign-up --endpoint-url {endpoint} --user-pool-id {pool} --username taro@example.jp
  aws cognito-idp list-users --region {} --user-pool-id {}

Ctrl-C ends it.",
        world.folder().display(),
        world.tokyo.name(),
        world.osaka.name(),
        world.secondary.id,
    );
    tokio::signal::ctrl_c().await?;
    Ok(())
}
