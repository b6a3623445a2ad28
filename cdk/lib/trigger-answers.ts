// Asks a trigger that was just deployed for an answer. A trigger that fails shows an error to everybody who signs up, so `make deploy`
// does not wait for the first of them.

import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { ConfigurationError } from './configuration.ts';

/** A trigger that was deployed: its ARN and its stack. */
export interface DeployedTrigger {
  readonly stack: string;
  readonly arn: string;
}

/** An event of no pool. A trigger sends it back as it came, and does nothing else. */
const FOREIGN_EVENT = JSON.stringify({
  version: '1',
  triggerSource: 'Deployment_Check',
  request: { userAttributes: {} },
});

/** Throws a ConfigurationError that says how to go back, unless each trigger sends a foreign event back as it came. */
export async function expectTriggersAnswer(triggers: readonly DeployedTrigger[]): Promise<void> {
  const wrong: string[] = [];
  for (const { stack, arn } of triggers) {
    const answer = await ask(arn);
    if (answer !== FOREIGN_EVENT) {
      wrong.push(`${stack}: the trigger ${arn} answered an event that does not concern it with ${answer}`);
    }
  }
  if (wrong.length > 0) {
    throw new ConfigurationError(
      [
        ...wrong,
        'It must send the event back as it came. Otherwise, everybody who signs up in the pool sees an error. To go back:',
        '  - at once: twinpool detach --pool POOL_ID (nobody is replicated or recorded until you attach the trigger again)',
        '  - then: git checkout the version that you deployed before, and make deploy with the same configuration',
        'The log of the trigger says what is wrong.',
      ].join('\n'),
    );
  }
}

/** The answer of a function as text, or what went wrong. */
async function ask(arn: string): Promise<string> {
  // arn:aws:lambda:<region>:<account>:function:<name>
  const client = new LambdaClient({ region: arn.split(':')[3] ?? '' });
  try {
    const { FunctionError, Payload } = await client.send(
      new InvokeCommand({ FunctionName: arn, Payload: FOREIGN_EVENT }),
    );
    const text = Payload?.transformToString() ?? '';
    return FunctionError ? `an error: ${text}` : withoutSpace(text);
  } catch (error) {
    return `nothing: ${error}`;
  } finally {
    client.destroy();
  }
}

/** JSON without white space: a service on the way may write it in another way. */
function withoutSpace(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json));
  } catch {
    return json;
  }
}
