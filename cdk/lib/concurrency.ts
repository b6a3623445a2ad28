// Compares the quotas of Lambda in both regions. In a failover, the twin's trigger must run as often at the same time as that of the primary
// pool does on a normal day, and all functions of the account share the quota. A higher one takes days, so `make deploy` tells it.

import { GetAccountSettingsCommand, LambdaClient } from '@aws-sdk/client-lambda';

/** What to tell of the quotas of two regions; undefined if the secondary one is as high as the primary one. */
export async function concurrencyWarning(primary: string, secondary: string): Promise<string | undefined> {
  try {
    const [atHome, there] = await Promise.all([concurrency(primary), concurrency(secondary)]);
    return there < atHome
      ? `Lambda may run ${there} functions at the same time in ${secondary}, and ${atHome} in ${primary}. In a failover everybody comes ` +
          `to ${secondary}: request the same quota there in Service Quotas (AWS Lambda, Concurrent executions). It takes days.`
      : undefined;
  } catch (error) {
    return (
      `The quotas of Lambda were not compared: ${error}. Look in Service Quotas whether the concurrent executions of ${secondary} are ` +
      `at least those of ${primary}.`
    );
  }
}

/** How many functions of the account may run at the same time in a region. */
async function concurrency(region: string): Promise<number> {
  const client = new LambdaClient({ region });
  try {
    const { AccountLimit } = await client.send(new GetAccountSettingsCommand());
    if (AccountLimit?.ConcurrentExecutions === undefined) {
      throw new Error(`Lambda named no quota for ${region}`);
    }
    return AccountLimit.ConcurrentExecutions;
  } finally {
    client.destroy();
  }
}
