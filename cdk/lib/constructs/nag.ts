// For apps that check their stacks with cdk-nag: the findings of AwsSolutions that are accepted in twinpool's constructs, each with the
// reason. Nothing is acknowledged unless the app calls this function.

import { Stack, Validations } from 'aws-cdk-lib';
import { flattenCfnReference } from 'cdk-nag/lib/utils/flatten-cfn-reference.js';
import type { IConstruct } from 'constructs';
import { TwinpoolFunction } from './function.ts';
import { ImportLogsRole } from './import-logs-role.ts';
import { OperatorPolicies, type PolicyName } from './operator-policies.ts';
import { Store } from './store.ts';

/** Acknowledges the accepted findings of all constructs of twinpool below `scope`, and of nothing else. */
export function acknowledgeFindings(scope: IConstruct): void {
  for (const construct of scope.node.findAll()) {
    if (construct instanceof TwinpoolFunction) {
      acknowledgeFunction(construct);
    } else if (construct instanceof ImportLogsRole) {
      acknowledgeWildcard(
        construct,
        construct.logsArn,
        'Cognito creates the log group and names it after the name of the pool, which is unknown here.',
      );
    } else if (construct instanceof OperatorPolicies) {
      acknowledgePolicies(construct);
    } else if (construct instanceof Store) {
      Validations.of(construct.bucket).acknowledge({
        id: 'AwsSolutions-S1',
        reason:
          "Server access logs are best effort, and would copy object keys, which contain people's sub, to a place that this key does not " +
          'protect. Who read an object is recorded only if a trail of the account has data events for the bucket: docs/deploy.md says how.',
      });
    }
  }
}

function acknowledgeFunction({ role, calls }: TwinpoolFunction): void {
  acknowledgeWildcard(
    role,
    '*',
    'The only actions of this statement, PutTraceSegments and PutTelemetryRecords of X-Ray, support no resource but *.',
  );
  for (const prefix of calls.flatMap(({ resources }) => resources).filter((resource) => resource.endsWith('/*'))) {
    acknowledgeWildcard(
      role,
      prefix,
      'The names of objects contain a sub or a time, and Cognito names the log of an import after the pool: the prefix is the ' +
        'narrowest resource that includes them.',
    );
  }
}

function acknowledgePolicies({ policies, statements }: OperatorPolicies): void {
  for (const [name, policy] of Object.entries(policies)) {
    const resources = statements[name as PolicyName]?.flatMap(({ resources }) => resources) ?? [];
    for (const resource of new Set(resources.filter((resource) => resource.includes('*')))) {
      acknowledgeWildcard(
        policy,
        resource,
        resource === '*'
          ? 'The only action of this statement, DescribeUserPoolDomain of Cognito, supports no resource but *.'
          : 'The names of objects contain a sub or a time, Cognito names the log of an import after the pool, and the ids of a web ACL ' +
              'and of a stack are only known after they have been read: this is the narrowest resource that includes them.',
      );
    }
  }
}

function acknowledgeWildcard(construct: IConstruct, resource: string, reason: string): void {
  const id = `AwsSolutions-IAM5[Resource::${flattenCfnReference(Stack.of(construct).resolve(resource))}]`;
  Validations.of(construct).acknowledge({ id, reason });
}
