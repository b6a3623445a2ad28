// The user pool of a stack: a new one (sign-in by email, MFA required with an authenticator app, kept when the stack is deleted), or the
// existing one of the configuration.

import { RemovalPolicy, Validations } from 'aws-cdk-lib';
import {
  AccountRecovery,
  type ICustomAttribute,
  type IUserPool,
  Mfa,
  StringAttribute,
  UserPool,
  UserPoolEmail,
} from 'aws-cdk-lib/aws-cognito';
import type { Construct } from 'constructs';
import type { Configuration, PoolChoice } from './configuration.ts';

/** Creates the pool of a stack, or refers to the existing one, as the configuration says. */
export function createOrReferToPool(scope: Construct, choice: PoolChoice, configuration: Configuration): IUserPool {
  return choice.pool === 'new'
    ? createPool(scope, configuration)
    : UserPool.fromUserPoolId(scope, 'UserPool', choice.userPoolId);
}

/** Creates a pool. Both pools get the same settings: otherwise a user of one pool could be invalid in the other. */
function createPool(scope: Construct, configuration: Configuration): UserPool {
  const { newPools, originSubAttribute } = configuration;
  const customAttributes: Record<string, ICustomAttribute> = {};
  for (const name of newPools.customAttributes) {
    customAttributes[name] = new StringAttribute({ mutable: true });
  }
  if (originSubAttribute) {
    // Applications use it as a key, so it must not change once it is written.
    customAttributes[originSubAttribute.replace('custom:', '')] = new StringAttribute({ mutable: false });
  }
  const pool = new UserPool(scope, 'UserPool', {
    signInAliases: { email: true },
    signInCaseSensitive: false,
    selfSignUpEnabled: true,
    autoVerify: { email: true },
    accountRecovery: AccountRecovery.EMAIL_ONLY,
    mfa: Mfa.REQUIRED,
    mfaSecondFactor: { otp: true, sms: false },
    passwordPolicy: {
      minLength: 12,
      requireLowercase: true,
      requireUppercase: true,
      requireDigits: true,
      requireSymbols: true,
    },
    customAttributes,
    ...(newPools.mailFrom && { email: UserPoolEmail.withSES({ fromEmail: newPools.mailFrom }) }),
    deletionProtection: true,
    removalPolicy: RemovalPolicy.RETAIN,
  });

  Validations.of(pool).acknowledge({
    id: 'AwsSolutions-COG8',
    reason:
      'The Plus plan is billed for every user who signs in. The owner of the application decides whether its threat protection is worth ' +
      'the price, and can enable it without twinpool.',
  });
  return pool;
}
