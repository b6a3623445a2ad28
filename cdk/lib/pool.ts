// A user pool as twinpool makes it: sign-in by email, MFA required with an authenticator app, built to last.

import { CfnOutput, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import {
  AccountRecovery,
  type CfnUserPool,
  type ICustomAttribute,
  Mfa,
  StringAttribute,
  UserPool,
  UserPoolEmail,
} from 'aws-cdk-lib/aws-cognito';
import type { Construct } from 'constructs';
import type { Configuration, PoolChoice } from './configuration.ts';
import type { TwinpoolFunction } from './twinpool-function.ts';

/** A pool, made or found. */
export interface Pool {
  readonly id: string;
  readonly arn: string;
  /** Of a pool that was made here. */
  readonly resource?: CfnUserPool;
}

/** The pool of a stack: made, or found. */
export function chosenPool(scope: Construct, choice: PoolChoice, configuration: Configuration): Pool {
  return choice.pool === 'new' ? newPool(scope, configuration) : existingPool(scope, choice);
}

/** Has a pool call its trigger: a new one by itself, an existing one, which CloudFormation leaves alone, once somebody attaches it. */
export function attach(pool: Pool, trigger: TwinpoolFunction): void {
  trigger.allowPool(pool.arn);
  const { functionArn } = trigger.lambda;
  if (pool.resource) {
    pool.resource.lambdaConfig = { postConfirmation: functionArn };
    return;
  }
  new CfnOutput(Stack.of(trigger), 'AttachTrigger', {
    value: `twinpool attach --pool ${pool.id} --function ${functionArn}`,
    description:
      'Attaches the trigger; or in the Cognito console: the pool, Extensions, Add Lambda trigger, Sign-up, Post confirmation, ' +
      'this function. If the pool has such a trigger already: docs/deploy.md.',
  });
}

/** A new pool. Both pools have these settings, or people of one would not fit into the other. */
function newPool(scope: Construct, configuration: Configuration): Pool {
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

  Validations.of(pool).acknowledge({
    id: 'AwsSolutions-COG8',
    reason:
      "The Plus plan is billed for every user who signs in. Whether its threat protection is worth it is the application's choice, " +
      'and it is switched on without twinpool.',
  });
  return { id: pool.userPoolId, arn: pool.userPoolArn, resource: pool.node.defaultChild as CfnUserPool };
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
