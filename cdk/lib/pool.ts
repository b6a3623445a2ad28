// User pools: a new one (sign-in by email, MFA required with an authenticator app, kept when the stack is deleted), or an existing one.

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

/** A pool that this stack creates, or an existing one. */
export interface Pool {
  readonly id: string;
  readonly arn: string;
  /** Only of a pool that this stack creates. */
  readonly resource?: CfnUserPool;
  /** Only of an existing pool: the owner's own post-confirmation function, which invokes the trigger. */
  readonly ownFunction?: string;
}

/** Creates the pool of a stack, or refers to the existing one, as the configuration says. */
export function createOrReferToPool(scope: Construct, choice: PoolChoice, configuration: Configuration): Pool {
  return choice.pool === 'new' ? createPool(scope, configuration) : referToPool(scope, choice);
}

/**
 * Allows a pool to invoke its trigger, and attaches the trigger to a new pool. CloudFormation does not change an existing pool: the
 * operator attaches the trigger with the command in the output AttachTrigger.
 */
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
      'Command that attaches the trigger. Or use the Cognito console: the pool, Extensions, Add Lambda trigger, Sign-up, Post ' +
      'confirmation, this function. If the pool already has a post-confirmation trigger, see docs/deploy.md.',
  });
}

/** Creates a pool. Both pools get the same settings: otherwise a user of one pool could be invalid in the other. */
function createPool(scope: Construct, configuration: Configuration): Pool {
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
  return { id: pool.userPoolId, arn: pool.userPoolArn, resource: pool.node.defaultChild as CfnUserPool };
}

/** Refers to an existing pool, in any region. */
export function referToPool(scope: Construct, { region, userPoolId, postConfirmation }: PoolChoice): Pool {
  const arn = Stack.of(scope).formatArn({
    service: 'cognito-idp',
    region,
    resource: 'userpool',
    resourceName: userPoolId,
  });
  return { id: userPoolId, arn, ...(postConfirmation && { ownFunction: postConfirmation }) };
}
