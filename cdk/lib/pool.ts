// A user pool as twinpool makes it: sign-in by email, MFA required with an authenticator app, built to last.

import { RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import {
  AccountRecovery,
  type CfnUserPool,
  type ICustomAttribute,
  Mfa,
  StringAttribute,
  UserPool,
  UserPoolEmail,
} from 'aws-cdk-lib/aws-cognito';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import type { Configuration, PoolChoice } from './configuration.ts';

/** A pool, made or found. */
export interface Pool {
  readonly id: string;
  readonly arn: string;
}

/** A new pool. Both pools have these settings, or people of one would not fit into the other. */
export function newPool(scope: Construct, configuration: Configuration, trigger: IFunction): Pool {
  const { newPools, originSubAttribute } = configuration;
  const customAttributes: Record<string, ICustomAttribute> = {};
  for (const name of newPools.customAttributes) {
    customAttributes[name] = new StringAttribute({ mutable: true });
  }
  if (originSubAttribute) {
    // Applications key on it, so nobody changes it once it is written.
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
  const resource = pool.node.defaultChild as CfnUserPool;
  resource.lambdaConfig = { postConfirmation: trigger.functionArn };

  Validations.of(pool).acknowledge({
    id: 'AwsSolutions-COG8',
    reason:
      "The Plus plan is billed for every user who signs in. Whether its threat protection is worth it is the application's choice, " +
      'and it is switched on without twinpool.',
  });
  return { id: pool.userPoolId, arn: pool.userPoolArn };
}

/** A pool that is there already, in any region. */
export function existingPool(scope: Construct, { region, userPoolId }: PoolChoice): Pool {
  const arn = Stack.of(scope).formatArn({
    service: 'cognito-idp',
    region,
    resource: 'userpool',
    resourceName: userPoolId,
  });
  return { id: userPoolId, arn };
}
