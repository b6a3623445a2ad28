// All variants comply with the AwsSolutions rules of cdk-nag, with only the exceptions that are listed here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type App, Validations } from 'aws-cdk-lib';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { addSecurityChecks } from '../lib/twinpool.ts';
import { app, FROM_NOTHING, SINGLE_VARIANTS, VALIDATE, VARIANTS } from './app.ts';

type Acknowledged = Record<string, string> | { id: string; reason: string };

/** All acknowledged violations: path, rule and reason. */
function acknowledgements(cdk: App) {
  return cdk.node.findAll().flatMap(({ node }) =>
    node.metadata
      .filter(({ type }) => type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY)
      .flatMap(({ data }: { data: Acknowledged }) => Object.entries(data))
      .map(([rule, reason]) => ({ path: node.path, rule, reason: String(reason) })),
  );
}

for (const [variant, configuration] of Object.entries({ ...VARIANTS, ...SINGLE_VARIANTS })) {
  test(`${variant}: synthesis passes these rules, and the schemas of CloudFormation`, () => {
    const cdk = app(configuration, { [VALIDATE]: 'true' });
    addSecurityChecks(cdk);
    assert.doesNotThrow(() => cdk.synth());
  });

  test(`${variant}: each acknowledgement is for a known rule, and gives a reason`, () => {
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

  test(`${variant}: each wildcard is acknowledged by itself: traces, key prefixes, manifests, the log of imports, stacks and web ACLs`, () => {
    const wildcards = acknowledgements(app(configuration)).filter(({ rule }) => rule.includes('IAM5'));
    for (const { rule } of wildcards) {
      assert.match(
        rule,
        /\[Resource::(\*|.+[:/](outbox|conflicts|journal\/(sign-up|password-reset|restored)|snapshots|parts|restores|reconciles|withheld|forgotten|fills|failovers|aws\/cognito\/userpools\/[^/]+|stack\/Twinpool\w+|webacl\/\*)\/\*|.+\/snapshots\/\*\/manifest\.json)\]$/,
      );
    }
  });
}

test('synthesis fails for a resource that violates a rule', () => {
  const cdk = app(FROM_NOTHING);
  new Bucket(cdk.node.findChild('TwinpoolSecondary'), 'Careless');
  addSecurityChecks(cdk);
  assert.throws(() => cdk.synth(), /Validation failed/);
});
