// Answers the calls of `make deploy` to AWS on this machine: DescribeStacks with the stacks that a test gives, Invoke as a trigger does,
// with the event that came, and GetAccountSettings with the same quota for each region; or with what a test gives.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The outputs of each deployed stack, by its name. */
export type DeployedOutputs = Record<string, Record<string, string>>;

/** What a test gives. */
export interface Answers {
  /** What the triggers answer. */
  readonly trigger?: string;
  /** How many functions may run at the same time, by region. Another region is refused. */
  readonly concurrency?: Readonly<Record<string, number>>;
}

/** Starts the server, and returns its address. It does not keep the process running. */
export async function serveAws(stacks: DeployedOutputs, answers: Answers = {}): Promise<string> {
  const server = createServer((request, response) => {
    const body: Buffer[] = [];
    request.on('data', (part) => body.push(part));
    request.on('end', () => {
      if (request.url?.endsWith('/invocations')) {
        response.end(answers.trigger ?? Buffer.concat(body));
        return;
      }
      if (request.url?.includes('/account-settings')) {
        // AWS4-HMAC-SHA256 Credential=KEY/20261129/REGION/lambda/aws4_request, …
        const region = request.headers.authorization?.split('/')[2] ?? '';
        const limit = answers.concurrency ? answers.concurrency[region] : 1000;
        response.statusCode = limit === undefined ? 403 : 200;
        response.end(JSON.stringify({ AccountLimit: { ConcurrentExecutions: limit } }));
        return;
      }
      const name = new URLSearchParams(Buffer.concat(body).toString()).get('StackName') ?? '';
      const outputs = stacks[name];
      response.statusCode = outputs ? 200 : 400;
      response.setHeader('content-type', 'text/xml');
      response.end(outputs ? described(name, outputs) : UNKNOWN);
    });
  });
  server.unref();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const described = (name: string, outputs: Record<string, string>) =>
  `<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks><member>` +
  `<StackName>${name}</StackName><StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-11-29T00:00:00Z</CreationTime><Outputs>` +
  Object.entries(outputs)
    .map(([key, value]) => `<member><OutputKey>${key}</OutputKey><OutputValue>${value}</OutputValue></member>`)
    .join('') +
  '</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>';

// As CloudFormation answers for a stack that does not exist.
const UNKNOWN =
  '<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error><Type>Sender</Type><Code>ValidationError</Code>' +
  '<Message>Stack with id X does not exist</Message></Error><RequestId>0</RequestId></ErrorResponse>';
