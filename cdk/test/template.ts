// Reads templates: finds resources by the beginning of their logical id, and converts references to text.
//
// In the tests, assert.ok always has a message. Without a message, Node parses the surrounding code to build one, and does not
// terminate on code that was transpiled into a single line.

import type { Template } from 'aws-cdk-lib/assertions';
import { flattenCfnReference } from 'cdk-nag/lib/utils/flatten-cfn-reference.js';

// biome-ignore lint/suspicious/noExplicitAny: every resource type has properties of its own
export type Resource = { Type: string; Properties: any; DeletionPolicy?: string; UpdateReplacePolicy?: string };

/** All resources of a type, by logical id. */
export function all(template: Template, type: string): Record<string, Resource> {
  return template.findResources(type) as Record<string, Resource>;
}

/** The only resource of a type whose logical id begins with `beginning`. */
export function one(template: Template, type: string, beginning: string): Resource {
  const found = Object.entries(all(template, type)).filter(([id]) => id.startsWith(beginning));
  const [only] = found;
  if (!only || found.length !== 1) {
    throw new Error(`${found.length} resources of type ${type} begin with ${beginning}, expected one`);
  }
  return only[1];
}

/** A reference as text, such as `<UserPool6BA7E5F2.Arn>`. */
export function text(reference: unknown): string {
  return flattenCfnReference(reference);
}

/** Converts a single value to a list, and returns a list unchanged. */
export function list<T>(value: T | T[]): T[] {
  return Array.isArray(value) ? value : [value];
}

/** The statements of all policies of a role whose logical id begins with `beginning`. */
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
