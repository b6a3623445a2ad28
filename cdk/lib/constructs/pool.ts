// Attaches a trigger to a user pool: to one that is created in the same stack, by its template; to an imported one, by a command.

import { Annotations, Resource, Stack } from 'aws-cdk-lib';
import { type IUserPool, type UserPool, UserPoolOperation } from 'aws-cdk-lib/aws-cognito';
import { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { TwinpoolFunction } from './function.ts';

/**
 * Allows a pool to invoke its trigger, and attaches the trigger to a pool that the app creates. CloudFormation does not change an
 * imported pool: then the command that attaches the trigger is returned.
 *
 * @param ownFunctionArn the pool's own post-confirmation function, which stays attached and invokes the trigger
 */
export function attach(trigger: TwinpoolFunction, userPool: IUserPool, ownFunctionArn?: string): string | undefined {
  trigger.allowPool(userPool.userPoolArn);
  const { functionArn } = trigger.lambda;
  if (!Resource.isOwnedResource(userPool)) {
    return `twinpool attach --pool ${userPool.userPoolId} --function ${functionArn}`;
  }
  if (Stack.of(userPool) !== Stack.of(trigger)) {
    Annotations.of(trigger).addError(
      `The pool ${userPool.node.path} is in another stack. The pool refers to its trigger, and the worker to the pool, so both must be ` +
        'in one stack: create this construct in the stack of the pool.',
    );
    return undefined;
  }
  if (!ownFunctionArn) {
    // The permission exists already, and is kept together with the trigger.
    const attached = LambdaFunction.fromFunctionAttributes(trigger, 'Attached', { functionArn, skipPermissions: true });
    try {
      (userPool as UserPool).addTrigger(UserPoolOperation.POST_CONFIRMATION, attached);
    } catch (error) {
      throw new Error(
        `${userPool.node.path} has a post-confirmation function already. Let that function invoke the trigger of this construct, and give ` +
          `its ARN as postConfirmationFunctionArn. ${error instanceof Error ? error.message : error}`,
      );
    }
  }
  return undefined;
}
