// The fence allows the operations that Cognito authorises by IAM, and no operation that anybody may call.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BY_IAM, BY_SECRET, PUBLIC } from '../lib/cognito-operations.ts';
import { CALLS } from '../lib/permissions.ts';
import { AROUND_EXISTING, FROM_NOTHING, templates } from './app.ts';
import { all, one, text } from './template.ts';

const variants = { 'from nothing': templates(FROM_NOTHING), 'around existing pools': templates(AROUND_EXISTING) };

type Statement = {
  ByteMatchStatement: {
    FieldToMatch: unknown;
    PositionalConstraint: string;
    SearchString: string;
    TextTransformations: { Type: string }[];
  };
};

/** The operations that the fence allows. */
function allowed(template: (typeof variants)['from nothing']['secondary']): string[] {
  const { Rules } = one(template, 'AWS::WAFv2::WebACL', 'FenceWebAcl').Properties;
  const statements: Statement[] = Rules[0].Statement.OrStatement.Statements;
  return statements.map(({ ByteMatchStatement }) => {
    const [service, operation] = ByteMatchStatement.SearchString.split('.');
    assert.equal(service, 'AWSCognitoIdentityProviderService');
    return operation as string;
  });
}

for (const [variant, { primary, secondary }] of Object.entries(variants)) {
  test(`${variant}: the fence blocks by default and has one rule that allows`, () => {
    const { Scope, DefaultAction, Rules } = one(secondary, 'AWS::WAFv2::WebACL', 'FenceWebAcl').Properties;
    assert.equal(Scope, 'REGIONAL');
    assert.deepEqual(DefaultAction, { Block: {} });
    assert.deepEqual(
      Rules.map((rule: { Name: string; Action: unknown }) => [rule.Name, rule.Action]),
      [['authorised-by-iam', { Allow: {} }]],
    );
  });

  test(`${variant}: the secondary pool has the fence, and the primary pool has none`, () => {
    const { ResourceArn, WebACLArn } = one(secondary, 'AWS::WAFv2::WebACLAssociation', 'FenceAssociation').Properties;
    assert.match(text(ResourceArn), /^<UserPool\w+\.Arn>$|:userpool\/ap-northeast-3_Secondary$/);
    assert.match(text(WebACLArn), /^<FenceWebAcl/);
    primary.resourceCountIs('AWS::WAFv2::WebACL', 0);
  });

  test(`${variant}: no public operation is allowed`, () => {
    const allowedOperations = allowed(secondary);
    for (const operation of [...PUBLIC, ...BY_SECRET]) {
      assert.ok(!allowedOperations.includes(operation), `${operation} is allowed`);
    }
  });

  test(`${variant}: every operation that Cognito authorises by IAM is allowed, by its exact name`, () => {
    assert.deepEqual(allowed(secondary), [...BY_IAM]);
    const { Rules } = one(secondary, 'AWS::WAFv2::WebACL', 'FenceWebAcl').Properties;
    for (const { ByteMatchStatement } of Rules[0].Statement.OrStatement.Statements as Statement[]) {
      assert.deepEqual(ByteMatchStatement.FieldToMatch, { SingleHeader: { Name: 'x-amz-target' } });
      assert.equal(ByteMatchStatement.PositionalConstraint, 'EXACTLY');
      assert.deepEqual(ByteMatchStatement.TextTransformations, [{ Priority: 0, Type: 'NONE' }]);
    }
  });
}

test('the calls of the functions are allowed', () => {
  const allowedOperations: string[] = allowed(variants['from nothing'].secondary);
  for (const call of Object.values(CALLS).flatMap(Object.keys)) {
    const [service, operation] = call.split(':') as [string, string];
    assert.ok(service !== 'cognito-idp' || allowedOperations.includes(operation), `${operation} is blocked`);
  }
});

test('while the fence is closed, nobody can sign up, sign in, reset a password or register an authenticator', () => {
  const allowedOperations = allowed(variants['from nothing'].secondary);
  for (const operation of [
    ...['SignUp', 'ConfirmSignUp', 'InitiateAuth', 'RespondToAuthChallenge', 'ForgotPassword', 'ConfirmForgotPassword'],
    ...['AssociateSoftwareToken', 'VerifySoftwareToken', 'GetTokensFromRefreshToken', 'GetClientToken'],
  ]) {
    assert.ok(!allowedOperations.includes(operation), `${operation} is allowed`);
  }
});

test('no operation is in two lists', () => {
  const everything = [...BY_IAM, ...PUBLIC, ...BY_SECRET];
  assert.equal(new Set(everything).size, everything.length);
  assert.equal(everything.length, 141);
});

test('the rule fits into the 1,500 capacity units that are included in the price of a web ACL', () => {
  // A statement takes 2 units, plus 10 units if WAF counts the text transformation NONE like the others.
  assert.ok(BY_IAM.length * 12 <= 1500, `${BY_IAM.length} statements`);
});

test('an existing pool gets the fence only if the configuration asks for it', () => {
  const { secondary } = templates({
    ...AROUND_EXISTING,
    secondary: { ...AROUND_EXISTING.secondary, fence: false },
  });
  assert.deepEqual(all(secondary, 'AWS::WAFv2::WebACL'), {});
  assert.deepEqual(all(secondary, 'AWS::WAFv2::WebACLAssociation'), {});
});
