// A configuration before the first deployment, with two new pools. The tests use this file, because twinpool.config.ts belongs to the
// user, who edits it.

import type { Configuration } from '../lib/configuration.ts';

export default {
  primary: {
    region: 'ap-northeast-1',
    pool: 'new',
    userPoolId: '',
  },
  secondary: {
    region: 'ap-northeast-3',
    pool: 'new',
    userPoolId: '',
    snapshotBucket: '',
    snapshotKeyId: '',
  },
  newPools: {
    customAttributes: [],
  },
  originSubAttribute: 'custom:origin_sub',
  architecture: 'arm64',
  triggerConcurrency: null,
  snapshotDays: 90,
  logDays: 90,
  alarmEmail: '',
  variables: {},
} satisfies Configuration;
