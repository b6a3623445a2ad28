// The fence lets through what Cognito authorises by IAM, and nothing that anyone else may call.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BY_IAM, BY_SECRET, PUBLIC } from '../lib/cognito-operations.ts';
import { CALLS } from '../lib/permissions.ts';
import { AROUND_EXISTING, FROM_NOTHING, templates } from './app.ts';
import { all, one, text } from './template.ts';

const ways = { 'from nothing': templates(FROM_NOTHING), 'around existing pools': templates(AROUND_EXISTING) };

type Statement = {
  ByteMatchStatement: {
    FieldToMatch: unknown;
    PositionalConstraint: string;
    SearchString: string;
    TextTransformations: { Type: string }[];
  };
};

/** The operations that the fence lets through. */
function allowed(template: (typeof ways)['from nothing']['secondary']): string[] {
  const { Rules } = one(template, 'AWS::WAFv2::WebACL', 'FenceWebAcl').Properties;
  const statements: Statement[] = Rules[0].Statement.OrStatement.Statements;
  return statements.map(({ ByteMatchStatement }) => {
    const [service, operation] = ByteMatchStatement.SearchString.split('.');
    assert.equal(service, 'AWSCognitoIdentityProviderService');
    return operation as string;
  });
}

for (const [way, { primary, secondary }] of Object.entries(ways)) {
  test(`${way}: the fence is closed but for one rule`, () => {
    const { Scope, DefaultAction, Rules } = one(secondary, 'AWS::WAFv2::WebACL', 'FenceWebAcl').Properties;
    assert.equal(Scope, 'REGIONAL');
    assert.deepEqual(DefaultAction, { Block: {} });
    assert.deepEqual(
      Rules.map((rule: { Name: string; Action: unknown }) => [rule.Name, rule.Action]),
      [['authorised-by-iam', { Allow: {} }]],
    );
  });

  test(`${way}: the fence stands before the secondary pool, and none before the primary`, () => {
    const { ResourceArn, WebACLArn } = one(secondary, 'AWS::WAFv2::WebACLAssociation', 'FenceAssociation').Properties;
    assert.match(text(ResourceArn), /^<UserPool\w+\.Arn>$|:userpool\/ap-northeast-3_Secondary$/);
    assert.match(text(WebACLArn), /^<FenceWebAcl/);
    primary.resourceCountIs('AWS::WAFv2::WebACL', 0);
  });

  test(`${way}: no public operation is let through`, () => {
    const through = allowed(secondary);
    for (const operation of [...PUBLIC, ...BY_SECRET]) {
      assert.ok(!through.includes(operation), `${operation} is let through`);
    }
  });

  test(`${way}: every operation that is authorised by IAM is let through, by its exact name`, () => {
    assert.deepEqual(allowed(secondary), [...BY_IAM]);
    const { Rules } = one(secondary, 'AWS::WAFv2::WebACL', 'FenceWebAcl').Properties;
    for (const { ByteMatchStatement } of Rules[0].Statement.OrStatement.Statements as Statement[]) {
      assert.deepEqual(ByteMatchStatement.FieldToMatch, { SingleHeader: { Name: 'x-amz-target' } });
      assert.equal(ByteMatchStatement.PositionalConstraint, 'EXACTLY');
      assert.deepEqual(ByteMatchStatement.TextTransformations, [{ Priority: 0, Type: 'NONE' }]);
    }
  });
}

test('the functions are let through', () => {
  const through: string[] = allowed(ways['from nothing'].secondary);
  for (const call of Object.values(CALLS).flatMap(Object.keys)) {
    const [service, operation] = call.split(':') as [string, string];
    assert.ok(service !== 'cognito-idp' || through.includes(operation), `${operation} is blocked`);
  }
});

test('a person cannot sign up, sign in, reset a password or enrol an authenticator through the closed fence', () => {
  const through = allowed(ways['from nothing'].secondary);
  for (const operation of [
    ...['SignUp', 'ConfirmSignUp', 'InitiateAuth', 'RespondToAuthChallenge', 'ForgotPassword', 'ConfirmForgotPassword'],
    ...['AssociateSoftwareToken', 'VerifySoftwareToken', 'GetTokensFromRefreshToken', 'GetClientToken'],
  ]) {
    assert.ok(!through.includes(operation), `${operation} is let through`);
  }
});

test('no operation is in two lists', () => {
  const everything = [...BY_IAM, ...PUBLIC, ...BY_SECRET];
  assert.equal(new Set(everything).size, everything.length);
  assert.equal(everything.length, 141);
});

test('the rule fits into what a web ACL includes: 1,500 units', () => {
  // Each statement is 2 units, and 10 more if a text transformation of NONE were counted like the others.
  assert.ok(BY_IAM.length * 12 <= 1500, `${BY_IAM.length} statements`);
});

test('an existing pool gets the fence on request only', () => {
  const { secondary } = templates({
    ...AROUND_EXISTING,
    secondary: { ...AROUND_EXISTING.secondary, fence: false },
  });
  assert.deepEqual(all(secondary, 'AWS::WAFv2::WebACL'), {});
  assert.deepEqual(all(secondary, 'AWS::WAFv2::WebACLAssociation'), {});
});
