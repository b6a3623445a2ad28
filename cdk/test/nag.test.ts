// cdk-nag's AwsSolutions rules hold in all ways; what is acknowledged, and why, is listed here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type App, Validations } from 'aws-cdk-lib';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { review, SECONDARY } from '../lib/twinpool.ts';
import { app, FROM_NOTHING, SINGLE_WAYS, WAYS } from './app.ts';

type Acknowledged = Record<string, string> | { id: string; reason: string };

/** What is acknowledged where: path, rule, reason. */
function acknowledgements(cdk: App) {
  return cdk.node.findAll().flatMap(({ node }) =>
    node.metadata
      .filter(({ type }) => type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY)
      .flatMap(({ data }: { data: Acknowledged }) => Object.entries(data))
      .map(([rule, reason]) => ({ path: node.path, rule, reason: String(reason) })),
  );
}

for (const [way, configuration] of Object.entries({ ...WAYS, ...SINGLE_WAYS })) {
  test(`${way}: synthesis passes the rules`, () => {
    const cdk = app(configuration);
    review(cdk);
    assert.doesNotThrow(() => cdk.synth());
  });

  test(`${way}: each acknowledgement is of a known rule, and has a reason`, () => {
    const cdk = app(configuration);
    const found = acknowledgements(cdk);
    for (const { path, rule, reason } of found) {
      assert.ok(reason.length > 60, `${path}: ${rule}: ${reason}`);
    }
    const rules = found.map(({ rule }) => rule.replace(/^Annotation::/, '').replace(/\[.*/, ''));
    const known = [
      'AwsSolutions-IAM5',
      'AwsSolutions-S1',
      ...(configuration.primary.pool === 'new' ? ['AwsSolutions-COG8'] : []),
    ];
    assert.deepEqual([...new Set(rules)].sort(), known.sort());
  });

  test(`${way}: wildcards are acknowledged one by one: traces, key prefixes, and the log of imports`, () => {
    const wildcards = acknowledgements(app(configuration)).filter(({ rule }) => rule.includes('IAM5'));
    for (const { rule } of wildcards) {
      assert.match(
        rule,
        /\[Resource::(\*|.+\/(outbox|conflicts|journal\/(sign-up|password-reset|restored)|snapshots|parts|restores|aws\/cognito\/userpools\/[^/]+)\/\*)\]$/,
      );
    }
  });
}

test('a resource that breaks a rule stops the synthesis', () => {
  const cdk = app(FROM_NOTHING);
  new Bucket(cdk.node.findChild(SECONDARY), 'Careless');
  review(cdk);
  assert.throws(() => cdk.synth(), /Validation failed/);
});
