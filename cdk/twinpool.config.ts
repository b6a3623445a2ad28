// What twinpool is deployed with. Fill it in, then run `make deploy`; docs/deploy.md explains each line.

import type { Configuration } from './lib/configuration.ts';

export default {
  // Where people sign up on a normal day.
  primary: {
    region: 'ap-northeast-1',
    // 'new': twinpool makes the pool. 'existing': you have one, and nothing about it is changed. Never switch a deployed one.
    pool: 'new',
    // The id of the existing pool, such as 'ap-northeast-1_AbCdEf123'. Leave it empty for a new one.
    userPoolId: '',
  },

  // The twin, in another region. null for none: the pool above is then backed up, and restored into itself.
  secondary: {
    region: 'ap-northeast-3',
    pool: 'new',
    // The id of the existing pool. For a new one, `make deploy` writes it here.
    userPoolId: '',
    // The bucket of the snapshots and its key, which the primary region has to know: `make deploy` writes them here.
    snapshotBucket: '',
    snapshotKeyId: '',
    // Only with pool: 'existing'. true puts the fence before it: sign-in and sign-up are blocked until a failover.
    // A pool holds one web ACL, so say false if yours has one. A new pool always gets the fence.
    // fence: true,
  },

  // What new pools have beside their common settings. It can be added to later, never taken away.
  newPools: {
    // Names of your own custom attributes, without 'custom:'. They are text.
    customAttributes: [],
    // The sender of the pools' mail, verified in Amazon SES in both regions. Without it, Cognito sends 50 mails a day:
    // enough to try, too few for a failover.
    // mailFrom: 'no-reply@example.jp',
  },

  // Where each person's first `sub` is kept, so that your application can key on it; new pools get this attribute.
  // For existing pools: an attribute that both have, or '' for none.
  originSubAttribute: 'custom:origin_sub',

  // 'arm64' or 'x86_64': what the functions are built for.
  architecture: 'arm64',

  // Concurrency kept for each trigger, so that other functions of the account cannot starve it. It comes out of the
  // account's quota; null keeps none.
  triggerConcurrency: null,

  // Days that snapshots are kept.
  snapshotDays: 90,

  // Days that logs are kept: one of the periods that CloudWatch Logs knows, such as 30, 90 or 365.
  logDays: 90,

  // Who is mailed when an alarm goes off, after confirming the subscription. '' for nobody: subscribe to the topics yourself.
  alarmEmail: '',

  // Variables of the functions where their defaults do not suit you: ACTIVATE_REPLICAS, REPLICATION_BUDGET_MS, LIST_USERS_RPS,
  // SNAPSHOT_MIN_INTERVAL_S, SHRINK_GUARD_PERCENT. Each as text, such as LIST_USERS_RPS: '25'.
  variables: {},
} satisfies Configuration;
