// The policies of operators allow what the commands were recorded to call, and nothing else.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import type { Template } from 'aws-cdk-lib/assertions';
import { COMMAND_CALLS } from '../lib/constructs/command-calls.ts';
import { COMMANDS, type PolicyName, SINGLE_POOL_COMMANDS } from '../lib/constructs/operator-policies.ts';
import { SINGLE_VARIANTS, singleTemplate, templates, VARIANTS } from './app.ts';
import { inStack, needed, resourceName, type Stack } from './granted.ts';
import { all, list, text } from './template.ts';

interface Statement {
  Action: string | string[];
  Resource: unknown;
  Condition?: Record<string, Record<string, unknown>>;
}

/** The statements of each policy of a stack, by its name. */
function policies(template: Template): Record<string, Statement[]> {
  return Object.fromEntries(
    Object.entries(all(template, 'AWS::IAM::ManagedPolicy')).map(([id, { Properties }]) => [
      id.replace(/^Operators([A-Z][a-z]+(Reset)?)[0-9A-F]{8}$/, '$1'),
      Properties.PolicyDocument.Statement,
    ]),
  );
}

/** The permissions of each policy, from the stacks of a deployment. */
function granted(stacks: Partial<Record<Stack, Template>>): Record<string, Set<string>> {
  const grants: Record<string, Set<string>> = {};
  for (const [stack, template] of Object.entries(stacks)) {
    for (const [name, statements] of Object.entries(policies(template))) {
      grants[name] ??= new Set();
      for (const { Action, Resource } of statements) {
        for (const action of list(Action)) {
          for (const resource of list(Resource)) {
            grants[name].add(`${action} on ${resourceName(text(resource), stack as Stack)}`);
          }
        }
      }
    }
  }
  return grants;
}

const DEPLOYED: [variant: string, stacks: Partial<Record<Stack, Template>>][] = [
  ...Object.entries(VARIANTS).map(([variant, configuration]) => [variant, templates(configuration)] as const),
  ...Object.entries(SINGLE_VARIANTS).map(
    ([variant, configuration]) => [variant, { single: singleTemplate(configuration) }] as const,
  ),
].map(([variant, stacks]) => [variant, stacks]);

const needs = (command: string, stacks: object) => {
  const isSingle = 'single' in stacks;
  return inStack(needed(COMMAND_CALLS[command] ?? {}), isSingle ? 'single' : 'primary');
};

test('each recorded command has policies, and each command that has policies was recorded', () => {
  assert.deepEqual(Object.keys(COMMANDS).sort(), Object.keys(COMMAND_CALLS).sort());
});

for (const [variant, stacks] of DEPLOYED) {
  const isSingle = 'single' in stacks;
  const grants = granted(stacks);
  const names = Object.keys(grants);
  const commands = Object.entries(COMMANDS).filter(([command]) => !isSingle || SINGLE_POOL_COMMANDS.includes(command));

  test(`${variant}: the policies`, () => {
    const expected = isSingle
      ? ['Look', 'Restore', 'MfaReset']
      : ['Look', 'Fence', 'Restore', 'Reconcile', 'MfaReset', 'Forget'];
    assert.deepEqual(names.sort(), expected.sort());
  });

  for (const [command, policies] of commands) {
    test(`${variant}: twinpool ${command} may make its calls with ${policies.join(', ')}`, () => {
      const may = policies.flatMap((name) => [...(grants[name] ?? [])]);
      assert.deepEqual(
        needs(command, stacks).filter((permission) => !may.includes(permission)),
        [],
      );
    });
  }

  for (const name of names as PolicyName[]) {
    test(`${variant}: each permission of ${name} is needed by a command`, () => {
      const used = commands
        .filter(([, policies]) => policies.includes(name))
        .flatMap(([command]) => needs(command, stacks));
      const all = [...(grants[name] ?? [])];
      assert.deepEqual(
        all.filter((permission) => !used.includes(permission)),
        [],
      );
    });
  }

  test(`${variant}: Look changes nothing, and reads no attribute of a person`, () => {
    for (const permission of grants['Look'] ?? []) {
      const [action, resource] = permission.split(' on ') as [string, string];
      assert.match(action, /:(Describe|Get|List|Decrypt)\w*$/, permission);
      assert.doesNotMatch(action, /ListUsers|AdminGetUser|AdminListGroupsForUser|GetLogEvents/, permission);
      if (action === 's3:GetObject') {
        const read =
          /^snapshot-bucket\/((latest|lease)(-newcomers)?\.json|snapshots\/\*\/manifest\.json|reconciles\/\*)$/;
        assert.match(resource, read);
      }
    }
  });

  test(`${variant}: only Fence may change a web ACL, and only the fence`, () => {
    for (const [name, permissions] of Object.entries(grants)) {
      const changes = [...permissions].filter((permission) => permission.startsWith('wafv2:Update'));
      assert.deepEqual(changes, name === 'Fence' ? ['wafv2:UpdateWebACL on fence'] : [], name);
    }
  });

  for (const [stack, template] of Object.entries(stacks)) {
    for (const [name, statements] of Object.entries(policies(template))) {
      test(`${variant}, ${stack}: ${name} fits into a policy, has no wildcard action, and its buckets are of this account`, () => {
        // IAM allows 6,144 characters. The rest is for ARNs that are longer than the references to them.
        assert.ok(JSON.stringify(statements).length < 4500, `${JSON.stringify(statements).length}`);
        for (const { Action, Resource, Condition } of statements) {
          for (const action of list(Action)) {
            assert.doesNotMatch(action, /\*/);
            if (action.startsWith('s3:')) {
              assert.deepEqual(Condition?.['StringEquals'], { 'aws:ResourceAccount': { Ref: 'AWS::AccountId' } });
            }
            if (action === 'iam:PassRole') {
              assert.deepEqual(Condition?.['StringEquals'], { 'iam:PassedToService': 'cognito-idp.amazonaws.com' });
            }
          }
          if (list(Resource).includes('*')) {
            assert.equal(Action, 'cognito-idp:DescribeUserPoolDomain');
          }
        }
      });
    }
  }
}

test('docs/deploy.md says which policies each command needs', () => {
  const guide = readFileSync(resolve(import.meta.dirname, '../../docs/deploy.md'), 'utf8');
  const rows = [...guide.matchAll(/^\| `twinpool ([^`]+)` \| ([\w, ]+) \|$/gm)];
  assert.deepEqual(Object.fromEntries(rows.map(([, command, policies]) => [command, policies?.split(', ')])), COMMANDS);
});
