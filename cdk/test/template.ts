// Reading a template: resources by the names that the code gives them, and references as text.
//
// In the tests beside this one, assert.ok always has a message: without one, Node parses the code around it, which never ends on
// code that was transpiled into one line.

import type { Template } from 'aws-cdk-lib/assertions';
import { flattenCfnReference } from 'cdk-nag/lib/utils/flatten-cfn-reference.js';

// biome-ignore lint/suspicious/noExplicitAny: CloudFormation's resources have a type each
export type Resource = { Type: string; Properties: any; DeletionPolicy?: string; UpdateReplacePolicy?: string };

/** All resources of a type, by logical id. */
export function all(template: Template, type: string): Record<string, Resource> {
  return template.findResources(type) as Record<string, Resource>;
}

/** The one resource of a type whose logical id begins like this. */
export function one(template: Template, type: string, beginning: string): Resource {
  const found = Object.entries(all(template, type)).filter(([id]) => id.startsWith(beginning));
  const [only] = found;
  if (!only || found.length !== 1) {
    throw new Error(`${found.length} resources of type ${type} begin with ${beginning}`);
  }
  return only[1];
}

/** A reference as text, such as `<UserPool6BA7E5F2.Arn>`. */
export function text(reference: unknown): string {
  return flattenCfnReference(reference);
}

/** A value that may be a list or a single one. */
export function list<T>(value: T | T[]): T[] {
  return Array.isArray(value) ? value : [value];
}

/** The statements of all policies in a function's role. */
export function statements(template: Template, beginning: string) {
  const role = one(template, 'AWS::IAM::Role', `${beginning}Role`);
  return role.Properties.Policies.flatMap(
    (policy: { PolicyDocument: { Statement: { Action: string | string[]; Resource: unknown }[] } }) =>
      policy.PolicyDocument.Statement,
  ).map(({ Action, Resource }: { Action: string | string[]; Resource: unknown }) => ({
    actions: list(Action),
    resources: list(Resource).map(text),
  })) as { actions: string[]; resources: string[] }[];
}
