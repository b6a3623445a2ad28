// A configuration as somebody begins with it: from nothing. The tests read this one, since twinpool.config.ts is filled in by its user.

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
