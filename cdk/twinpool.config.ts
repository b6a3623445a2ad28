// The configuration of the deployment. Fill it in, then run `make deploy`. docs/deploy.md explains each line.

import type { Configuration } from './lib/configuration.ts';

export default {
  // The prefix of the names of the stacks, here TwinpoolPrimary and TwinpoolSecondary. Two pairs of pools in one account need two
  // names, and a configuration file each: docs/deploy.md, Two pairs. Never change this line after the first deployment.
  name: 'Twinpool',

  // The pool in which people sign up on a normal day.
  primary: {
    region: 'ap-northeast-1',
    // 'new': twinpool creates the pool. 'existing': you have a pool, and its settings are not changed. Never change this line
    // after the first deployment.
    pool: 'new',
    // The id of the existing pool, such as 'ap-northeast-1_AbCdEf123'. For a new pool, `make deploy` writes
    // the id here.
    userPoolId: '',
  },

  // The twin, in another region. null for no twin: the pool above is then backed up, and restored into itself.
  secondary: {
    region: 'ap-northeast-3',
    pool: 'new',
    // The id of the existing pool. For a new pool, `make deploy` writes the id here.
    userPoolId: '',
    // The bucket of the snapshots and its encryption key. The primary stack needs them: `make deploy` writes them here.
    snapshotBucket: '',
    snapshotKeyId: '',
    // Only with pool: 'existing'. true adds the fence to the pool: sign-in and sign-up are blocked until a failover.
    // A pool can have one web ACL only, so use false if yours has one already. A new pool always gets the fence.
    // fence: true,
    // Logs the requests that the fence has looked at, for so many days: addresses of people's devices, which is data about people.
    // fenceLogDays: 30,
  },

  // Additional settings of new pools. You can add attributes later, but Cognito cannot remove them.
  newPools: {
    // Names of your own custom attributes, without 'custom:'. Their type is String.
    customAttributes: [],
    // The sender address of the pools' mail, verified in Amazon SES in both regions. Without it, Cognito sends 50 mails a day:
    // enough for a test, too few for a failover.
    // mailFrom: 'no-reply@example.jp',
  },

  // The custom attribute that keeps each person's first `sub`, so that your application can use it as a key. New pools get this
  // attribute. For existing pools: an attribute that both pools have, or '' for none.
  originSubAttribute: 'custom:origin_sub',

  // The processor architecture of the functions: 'arm64' or 'x86_64'.
  architecture: 'arm64',

  // Reserved concurrency of each trigger, so that other functions of the account cannot use all of it. It is subtracted from
  // the account's quota. null reserves none.
  triggerConcurrency: null,

  // Number of days for which snapshots are kept.
  snapshotDays: 90,

  // Number of days for which logs are kept: one of the periods that CloudWatch Logs offers, such as 30, 90 or 365.
  logDays: 90,

  // The mail address that receives alarms, after its owner has confirmed the subscription. '' for none: subscribe to the
  // topics yourself.
  alarmEmail: '',

  // Environment variables of the functions that shall differ from their defaults: ACTIVATE_REPLICAS, REPLICATION_BUDGET_MS,
  // RECONCILE_LIST_RPS, RECONCILE_WRITES_RPS, RECONCILE_EVERY_S, GROUPS_EVERY_S, WITHHOLD_DAYS, LIST_USERS_RPS, LOOKUPS_RPS,
  // SNAPSHOT_MIN_INTERVAL_S, SNAPSHOT_POOL_INTERVAL_S, SHRINK_GUARD_PERCENT. Write each value as text, such as LIST_USERS_RPS: '25'.
  variables: {},
} satisfies Configuration;
