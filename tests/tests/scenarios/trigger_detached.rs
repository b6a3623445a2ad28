//! A trigger that another tool has detached from its pool: nothing fails, so the tick of each worker looks for it.

use local_regions::faults::{Fault, Kind, Service};
use local_regions::region::Region;
use local_regions::world::{BACKUP_WORKER, REPLICATE_WORKER, World};
use serde_json::Value;

use crate::support::{drain, tick, world};

/// The values of TriggerDetached in the log of a worker, in their order.
fn measured(world: &World, region: &Region, worker: &str) -> Vec<u64> {
    let log = world.log(region, worker);
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|line| line["TriggerDetached"].as_u64())
        .collect()
}

/// Another tool writes the settings of a pool, and does not know of the trigger.
async fn update_by_another_tool(region: &Region, pool: &str) {
    let client = region.cognito_client();
    let update = client.update_user_pool().user_pool_id(pool);
    update.send().await.expect("updated");
}

#[tokio::test]
async fn a_trigger_that_another_tool_detached_is_measured_by_the_next_tick_of_each_worker() {
    let world = world().await;
    let both = [
        (&world.tokyo, &world.primary, REPLICATE_WORKER),
        (&world.osaka, &world.secondary, BACKUP_WORKER),
    ];

    drain(&world).await;
    tick(&world).await;
    for (region, pool, _) in both {
        update_by_another_tool(region, &pool.id).await;
    }
    drain(&world).await;
    tick(&world).await;

    for (region, _, worker) in both {
        assert_eq!(measured(&world, region, worker), [0, 1], "{worker}");
    }
}

#[tokio::test]
async fn another_function_than_the_deployed_one_counts_as_detached_where_the_deployed_one_is_known()
{
    let world = world().await;
    let cognito = world.tokyo.cognito();
    cognito.set_post_confirmation(&world.primary.id, "welcome-mail");

    drain(&world).await;
    let lambda = world.tokyo.lambda();
    lambda.unset_env(REPLICATE_WORKER, "TRIGGER_ARN");
    drain(&world).await;

    assert_eq!(measured(&world, &world.tokyo, REPLICATE_WORKER), [1, 0]);
}

#[tokio::test]
async fn a_pool_that_does_not_answer_leaves_no_value_and_does_not_fail_the_tick() {
    let world = world().await;
    let denied = Kind::error(400, "AccessDeniedException");
    for (region, fault) in [(&world.tokyo, denied.clone()), (&world.osaka, denied)] {
        let fault = Fault::on(Service::Cognito, "DescribeUserPool", fault);
        region.faults().add(fault);
    }

    let drained = drain(&world).await;
    let ticked = tick(&world).await;

    assert_eq!(drained["failing"], 0, "{drained}");
    assert_eq!(ticked["status"], "not-needed", "{ticked}");
    assert!(measured(&world, &world.tokyo, REPLICATE_WORKER).is_empty());
    assert!(measured(&world, &world.osaka, BACKUP_WORKER).is_empty());
}
