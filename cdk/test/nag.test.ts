// cdk-nag's AwsSolutions rules hold in both ways; what is acknowledged, and why, is listed here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Validations } from 'aws-cdk-lib';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { review } from '../lib/twinpool.ts';
import { app, FROM_NOTHING, WAYS } from './app.ts';

type Acknowledged = Record<string, string> | { id: string; reason: string };

/** What is acknowledged where: path, rule, reason. */
function acknowledgements(cdk: ReturnType<typeof app>['app']) {
  return cdk.node.findAll().flatMap(({ node }) =>
    node.metadata
      .filter(({ type }) => type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY)
      .flatMap(({ data }: { data: Acknowledged }) => Object.entries(data))
      .map(([rule, reason]) => ({ path: node.path, rule, reason: String(reason) })),
  );
}

for (const [way, configuration] of Object.entries(WAYS)) {
  test(`${way}: synthesis passes the rules`, () => {
    const { app: cdk } = app(configuration);
    review(cdk);
    assert.doesNotThrow(() => cdk.synth());
  });

  test(`${way}: each acknowledgement is of a known rule, and has a reason`, () => {
    const { app: cdk } = app(configuration);
    const found = acknowledgements(cdk);
    for (const { path, rule, reason } of found) {
      assert.ok(reason.length > 60, `${path}: ${rule}: ${reason}`);
    }
    const rules = found.map(({ rule }) => rule.replace(/^Annotation::/, '').replace(/\[.*/, ''));
    const known = ['AwsSolutions-IAM5', 'AwsSolutions-S1', ...(way === 'from nothing' ? ['AwsSolutions-COG8'] : [])];
    assert.deepEqual([...new Set(rules)].sort(), known.sort());
  });

  test(`${way}: wildcards are acknowledged one by one: traces, and key prefixes`, () => {
    const wildcards = acknowledgements(app(configuration).app).filter(({ rule }) => rule.includes('IAM5'));
    for (const { rule } of wildcards) {
      assert.match(
        rule,
        /\[Resource::(\*|.+\/(outbox|conflicts|journal\/sign-up|journal\/password-reset|snapshots)\/\*)\]$/,
      );
    }
  });
}

test('a resource that breaks a rule stops the synthesis', () => {
  const { app: cdk, secondary } = app(FROM_NOTHING);
  new Bucket(secondary, 'Careless');
  review(cdk);
  assert.throws(() => cdk.synth(), /Validation failed/);
});
