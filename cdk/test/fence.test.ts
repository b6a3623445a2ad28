// The closed fence blocks everything that AWS WAF inspects, except for the public documents of the pool.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AROUND_EXISTING, FROM_NOTHING, templates } from './app.ts';
import { all, one, text } from './template.ts';

const variants = { 'from nothing': templates(FROM_NOTHING), 'around existing pools': templates(AROUND_EXISTING) };

type Statement = {
  ByteMatchStatement: {
    FieldToMatch: unknown;
    PositionalConstraint: string;
    SearchString: unknown;
    TextTransformations: { Type: string }[];
  };
};

for (const [variant, { primary, secondary }] of Object.entries(variants)) {
  const acl = one(secondary, 'AWS::WAFv2::WebACL', 'FenceWebAcl').Properties;

  test(`${variant}: the fence blocks by default, one rule allows, and one limits what an address may ask of an open fence`, () => {
    assert.equal(acl.Scope, 'REGIONAL');
    assert.deepEqual(acl.DefaultAction, { Block: {} });
    assert.deepEqual(
      acl.Rules.map((rule: { Name: string; Action: unknown }) => [rule.Name, rule.Action]),
      [
        ['public-documents', { Allow: {} }],
        ['limit-per-address', { Block: {} }],
      ],
    );
  });

  test(`${variant}: the fence has the tag by which twinpool knows it`, () => {
    assert.deepEqual(acl.Tags, [{ Key: 'twinpool:fence', Value: 'secondary-pool' }]);
  });

  test(`${variant}: the secondary pool has the fence, and the primary pool has none`, () => {
    const { ResourceArn, WebACLArn } = one(secondary, 'AWS::WAFv2::WebACLAssociation', 'FenceAssociation').Properties;
    assert.match(text(ResourceArn), /^<UserPool\w+\.Arn>$|:userpool\/ap-northeast-3_Secondary$/);
    assert.match(text(WebACLArn), /^<FenceWebAcl/);
    primary.resourceCountIs('AWS::WAFv2::WebACL', 0);
  });

  test(`${variant}: the rule allows the public keys and the discovery document of the pool, by their exact paths`, () => {
    const statements: Statement[] = acl.Rules[0].Statement.OrStatement.Statements;
    const pool = variant === 'from nothing' ? '<UserPool\\w+>' : 'ap-northeast-3_Secondary';
    const documents = ['jwks\\.json', 'openid-configuration'];
    assert.equal(statements.length, documents.length);
    for (const [at, document] of documents.entries()) {
      const match = statements[at]?.ByteMatchStatement;
      assert.deepEqual(match?.FieldToMatch, { UriPath: {} });
      assert.equal(match?.PositionalConstraint, 'EXACTLY');
      assert.match(text(match?.SearchString), new RegExp(`^/${pool}/\\.well-known/${document}$`));
      assert.deepEqual(match?.TextTransformations, [{ Priority: 0, Type: 'NONE' }]);
    }
  });

  test(`${variant}: no rule that allows looks at a header, because a client can choose its headers`, () => {
    const allowing = acl.Rules.filter(({ Action }: { Action: object }) => 'Allow' in Action);
    assert.doesNotMatch(JSON.stringify(allowing), /Header|Cookie|Query|Body/);
  });

  test(`${variant}: sign-ups and password resets are limited for each address, by operation and by hosted page`, () => {
    const { RateBasedStatement: limited } = acl.Rules[1].Statement;
    assert.deepEqual([limited.AggregateKeyType, limited.Limit, limited.EvaluationWindowSec], ['IP', 300, 300]);
    const scope = JSON.stringify(limited.ScopeDownStatement);
    for (const operation of ['ForgotPassword', 'ConfirmForgotPassword', 'SignUp', '/forgotpassword', '/signup']) {
      assert.ok(scope.includes(`"SearchString":"${operation}"`), operation);
    }
    assert.match(scope, /"SingleHeader":\{"Name":"x-amzn-cognito-operation-name"\}/);
    assert.doesNotMatch(scope, /InitiateAuth|jwks/);
  });

  test(`${variant}: requests that an open fence lets through raise an alarm, which counts no allowed document`, () => {
    const { Properties } = one(secondary, 'AWS::CloudWatch::Alarm', 'WatchFenceOpen');
    assert.equal(Properties.Namespace, 'AWS/WAFV2');
    assert.equal(Properties.MetricName, 'AllowedRequests');
    assert.deepEqual(
      Properties.Dimensions.map(({ Name, Value }: { Name: string; Value: string }) => [Name, Value]).sort(),
      [
        ['Region', 'ap-northeast-3'],
        ['Rule', 'Default_Action'],
        ['WebACL', acl.VisibilityConfig.MetricName],
      ],
    );
    assert.match(Properties.AlarmDescription, /twinpool fence close/);
  });
}

test('an existing pool gets the fence only if the configuration asks for it', () => {
  const { secondary } = templates({
    ...AROUND_EXISTING,
    secondary: { ...AROUND_EXISTING.secondary, fence: false },
  });
  assert.deepEqual(all(secondary, 'AWS::WAFv2::WebACL'), {});
  assert.deepEqual(all(secondary, 'AWS::WAFv2::WebACLAssociation'), {});
});

test('the requests are not logged, because addresses of devices are data about people', () => {
  for (const { secondary } of Object.values(variants)) {
    secondary.resourceCountIs('AWS::WAFv2::LoggingConfiguration', 0);
  }
});

test('with fenceLogDays they are logged for so long, without tokens, cookies and queries', () => {
  const { secondary } = templates({ ...FROM_NOTHING, secondary: { ...FROM_NOTHING.secondary, fenceLogDays: 30 } });
  const logGroup = one(secondary, 'AWS::Logs::LogGroup', 'FenceRequests');
  assert.equal(logGroup.Properties.RetentionInDays, 30);
  const logging = one(secondary, 'AWS::WAFv2::LoggingConfiguration', 'FenceLogging');
  for (const kept of [logGroup, logging]) {
    assert.equal(kept.DeletionPolicy, 'RetainExceptOnCreate', 'the fence is kept and goes on logging');
  }
  // AWS WAF delivers to log groups with such names only.
  assert.match(logGroup.Properties.LogGroupName, /^aws-waf-logs-TwinpoolSecondary-Fence-[0-9A-F]{8}$/);
  const { LogDestinationConfigs, RedactedFields, ResourceArn } = logging.Properties;
  assert.match(text(ResourceArn), /^<FenceWebAcl/);
  assert.match(text(LogDestinationConfigs[0]), /:log-group:<FenceRequests\w+>$/);
  assert.deepEqual(RedactedFields, [
    { SingleHeader: { Name: 'authorization' } },
    { SingleHeader: { Name: 'cookie' } },
    { QueryString: {} },
  ]);
});

test('a pool without the fence has nothing to log', () => {
  const { secondary } = templates({
    ...AROUND_EXISTING,
    secondary: { ...AROUND_EXISTING.secondary, fence: false },
  });
  secondary.resourceCountIs('AWS::Logs::LogGroup', 2);
});
