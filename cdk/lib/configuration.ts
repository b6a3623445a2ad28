// twinpool.config.ts: what may be in it, reading it with errors that name the line, and writing into it what the secondary stack made.

import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import ts from 'typescript';

export interface Configuration {
  primary: PoolChoice;
  /** null for a pool without a twin: it is backed up, and restored into itself. */
  secondary: Twin | null;
  newPools: {
    customAttributes: string[];
    mailFrom?: string;
  };
  originSubAttribute: string;
  architecture: 'arm64' | 'x86_64';
  triggerConcurrency: number | null;
  snapshotDays: number;
  logDays: number;
  alarmEmail: string;
  variables: Partial<Record<keyof typeof VARIABLES, string>>;
}

export interface PoolChoice {
  region: string;
  pool: 'new' | 'existing';
  userPoolId: string;
}

export interface Twin extends PoolChoice, Made {
  /** Whether an existing pool gets the fence. */
  fence?: boolean;
}

/** What the primary stack must know of what the secondary stack made. */
export interface Made {
  userPoolId: string;
  snapshotBucket: string;
  snapshotKeyId: string;
}

/** Both regions. */
export type ConfigurationWithTwin = Configuration & { secondary: Twin };

export function hasTwin(configuration: Configuration): configuration is ConfigurationWithTwin {
  return configuration.secondary !== null;
}

/** The functions' optional variables, and what each takes. */
export const VARIABLES = {
  ACTIVATE_REPLICAS: { of: 'replicate-fn', takes: "'true' or 'false'", pattern: /^(true|false)$/ },
  REPLICATION_BUDGET_MS: { of: 'replicate-fn', takes: "whole milliseconds, such as '3000'", pattern: /^\d{1,5}$/ },
  LIST_USERS_RPS: { of: 'backup-fn', takes: "whole calls a second, such as '20'", pattern: /^[1-9]\d{0,3}$/ },
  SNAPSHOT_MIN_INTERVAL_S: { of: 'backup-fn', takes: "whole seconds, such as '60'", pattern: /^\d{1,6}$/ },
  SHRINK_GUARD_PERCENT: { of: 'backup-fn', takes: "a percentage, '0' to '100'", pattern: /^(100|\d{1,2})$/ },
} as const;

/** A mistake: where in the configuration, and what to mend. */
interface Mistake {
  path: string[];
  mend: string;
}

/** What is wrong with a configuration file, one line a mistake. */
export class ConfigurationError extends Error {}

/** Reads and checks a configuration file. */
export async function readConfiguration(file: string): Promise<Configuration> {
  const { default: value } = await import(pathToFileURL(file).href);
  const mistakes = check(value);
  if (mistakes.length > 0) {
    const source = parse(file);
    const lines = mistakes
      .map(({ path, mend }) => ({
        line: lineOf(source, path),
        text: `${path.join('.') || 'the configuration'} ${mend}`,
      }))
      .sort((a, b) => a.line - b.line)
      .map(({ line, text }) => `${basename(file)}:${line}: ${text}`);
    throw new ConfigurationError(lines.join('\n'));
  }
  return value;
}

/** Writes what the secondary stack made into a configuration file, and leaves everything else as it is. */
export function writeMade(file: string, made: Made): void {
  for (const [name, value] of Object.entries(made)) {
    const source = parse(file);
    const node = find(source, ['secondary', name]);
    if (!ts.isPropertyAssignment(node) || node.name.getText() !== name) {
      throw new ConfigurationError(
        `${basename(file)} has no line for secondary.${name}. Write ${name}: '${value}' there.`,
      );
    }
    const { initializer } = node;
    const text = source.getFullText();
    writeFileSync(file, `${text.slice(0, initializer.getStart())}'${value}'${text.slice(initializer.getEnd())}`);
  }
}

/** Anything may be in the file: nothing has checked it yet. */
// biome-ignore lint/suspicious/noExplicitAny: see above
type Unchecked = any;

function check(value: Unchecked): Mistake[] {
  const found = new Mistakes();
  const known = [
    ...['primary', 'secondary', 'newPools', 'originSubAttribute', 'architecture', 'triggerConcurrency'],
    ...['snapshotDays', 'logDays', 'alarmEmail', 'variables'],
  ];
  if (found.isObject(value, '', known)) {
    checkPools(value, found);
    checkNewPools(value, found);
    checkFunctions(value, found);
    checkKeepingAndAlarms(value, found);
  }
  return found.list;
}

/** What is wrong, collected. */
class Mistakes {
  readonly list: Mistake[] = [];

  /** Notes a mistake unless something holds, and says whether it does. */
  expect(holds: boolean, path: string, mend: string): boolean {
    if (!holds) {
      this.list.push({ path: path.split('.').filter(Boolean), mend });
    }
    return holds;
  }

  /** Whether a value is an object; what it holds beyond the known is a mistake, and most likely a misspelling. */
  isObject(value: Unchecked, path: string, known: readonly string[], or = ''): boolean {
    const isObject = typeof value === 'object' && value !== null;
    for (const key of isObject ? Object.keys(value) : []) {
      this.expect(known.includes(key), path ? `${path}.${key}` : key, `is not known. Known here: ${known.join(', ')}.`);
    }
    return this.expect(isObject, path, `${shown(value)}. It holds ${known.join(', ')}${or}.`);
  }
}

function checkPools({ primary, secondary }: Unchecked, found: Mistakes): void {
  const isPrimary = found.isObject(primary, 'primary', OF_A_POOL) && checkPool('primary', primary, found);
  if (secondary === null) {
    return;
  }
  const ofATwin = [...OF_A_POOL, 'snapshotBucket', 'snapshotKeyId', 'fence'];
  const isTwin = found.isObject(secondary, 'secondary', ofATwin, '; or it is null, for a pool without a twin');
  if (!isTwin || !checkPool('secondary', secondary, found) || !isPrimary) {
    return;
  }
  for (const [name, pattern] of Object.entries(OF_SNAPSHOTS)) {
    const given = secondary[name];
    const mend = `${shown(given)}. Leave it '': make deploy writes it.`;
    found.expect(given === '' || (typeof given === 'string' && pattern.test(given)), `secondary.${name}`, mend);
  }
  const same = "is the primary's too. A twin in the same region does not outlive it: choose another.";
  found.expect(primary.region !== secondary.region, 'secondary.region', same);
  const { pool, fence } = secondary;
  if (pool === 'existing') {
    const mend = 'Say whether this existing pool gets the fence: true, or false if it has a web ACL of its own.';
    found.expect(typeof fence === 'boolean', 'secondary.fence', `${shown(fence)}. ${mend}`);
  } else {
    const mend = 'A new pool always gets the fence: take the line out.';
    found.expect(fence === undefined, 'secondary.fence', `${shown(fence)}. ${mend}`);
  }
}

/** Whether a pool's region, kind and id go together. */
function checkPool(name: string, { region, pool, userPoolId }: Unchecked, found: Mistakes): boolean {
  const aRegion = `${shown(region)}. Give an AWS region, such as 'ap-northeast-1'.`;
  const isRegion = found.expect(REGION.test(region), `${name}.region`, aRegion);
  const isNew = pool === 'new';
  const isKind = found.expect(isNew || pool === 'existing', `${name}.pool`, `${shown(pool)}. Say 'new' or 'existing'.`);
  if (!isRegion || !isKind) {
    return false;
  }
  const ofRegion = `an id of a pool in ${region}, such as '${region}_AbCdEf123'`;
  const isId = POOL_ID.test(userPoolId) && userPoolId.startsWith(`${region}_`);
  const [holds, mend] = !isNew
    ? [isId, `Give the pool's: ${ofRegion}.`]
    : name === 'primary'
      ? [userPoolId === '', "The pool is new: leave it '', or say pool: 'existing'."]
      : [
          isId || userPoolId === '',
          `Leave it '': make deploy writes ${ofRegion}. If you have the pool, say pool: 'existing'.`,
        ];
  return found.expect(holds, `${name}.userPoolId`, `${shown(userPoolId)}. ${mend}`);
}

function checkNewPools({ newPools, originSubAttribute }: Unchecked, found: Mistakes): void {
  found.expect(
    originSubAttribute === '' || ATTRIBUTE.test(originSubAttribute),
    'originSubAttribute',
    `${shown(originSubAttribute)}. Give a custom attribute, such as 'custom:origin_sub', or ''.`,
  );
  if (!found.isObject(newPools, 'newPools', ['customAttributes', 'mailFrom'])) {
    return;
  }
  const { customAttributes, mailFrom } = newPools;
  const path = 'newPools.customAttributes';
  const names = Array.isArray(customAttributes) ? customAttributes.map((name) => `custom:${name}`) : [''];
  found.expect(
    names.every((name) => ATTRIBUTE.test(name)),
    path,
    `${shown(customAttributes)}. Give names of 1 to 20 letters, digits or _, such as ['tenant'], without 'custom:'.`,
  );
  const twice = `names ${originSubAttribute}, which is the originSubAttribute: take it out here.`;
  found.expect(!names.includes(originSubAttribute), path, twice);
  const aSender = `${shown(mailFrom)}. Give a mail address, such as 'no-reply@example.jp', or take the line out.`;
  found.expect(mailFrom === undefined || EMAIL.test(mailFrom), 'newPools.mailFrom', aSender);
}

function checkFunctions({ secondary, architecture, triggerConcurrency, variables }: Unchecked, found: Mistakes): void {
  found.expect(
    architecture === 'arm64' || architecture === 'x86_64',
    'architecture',
    `${shown(architecture)}. Say 'arm64' or 'x86_64'.`,
  );
  found.expect(
    triggerConcurrency === null || isWhole(triggerConcurrency),
    'triggerConcurrency',
    `${shown(triggerConcurrency)}. Give a whole number above 0, or null.`,
  );
  // replicate-fn is for a twin.
  const known = Object.entries(VARIABLES).filter(([, { of }]) => of === 'backup-fn' || secondary !== null);
  const names = known.map(([name]) => name);
  if (!found.isObject(variables, 'variables', names)) {
    return;
  }
  for (const [name, { takes, pattern }] of known) {
    const given = variables[name];
    const holds = given === undefined || (typeof given === 'string' && pattern.test(given));
    found.expect(holds, `variables.${name}`, `${shown(given)}. Give ${takes}.`);
  }
}

function checkKeepingAndAlarms({ snapshotDays, logDays, alarmEmail }: Unchecked, found: Mistakes): void {
  found.expect(isWhole(snapshotDays), 'snapshotDays', `${shown(snapshotDays)}. Give whole days, such as 90.`);
  const periods = Object.values(RetentionDays).filter((days) => Number(days) < RetentionDays.INFINITE);
  found.expect(periods.includes(logDays), 'logDays', `${shown(logDays)}. Give one of ${periods.join(', ')}.`);
  found.expect(
    alarmEmail === '' || EMAIL.test(alarmEmail),
    'alarmEmail',
    `${shown(alarmEmail)}. Give a mail address, such as 'ops@example.jp', or ''.`,
  );
}

function shown(value: unknown): string {
  return value === undefined ? 'is missing' : `is ${JSON.stringify(value)}`;
}

function isWhole(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) > 0;
}

const REGION = /^[a-z]{2}(-[a-z]+)+-\d$/;
const OF_A_POOL = ['region', 'pool', 'userPoolId'];
const OF_SNAPSHOTS = { snapshotBucket: /^[a-z0-9.-]{3,63}$/, snapshotKeyId: /^[\w-]+$/ };
const POOL_ID = /^[\w-]+_[0-9a-zA-Z]+$/;
const ATTRIBUTE = /^custom:\w{1,20}$/;
const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]+$/;

function parse(file: string): ts.SourceFile {
  return ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
}

function lineOf(source: ts.SourceFile, path: string[]): number {
  return source.getLineAndCharacterOfPosition(find(source, path).getStart()).line + 1;
}

/** The property at a path of the file's default export, or the innermost one around it that is there. */
function find(source: ts.SourceFile, path: string[]): ts.Node {
  const exported = source.statements.find(ts.isExportAssignment);
  let node: ts.Node = exported ?? source;
  let value = exported?.expression;
  for (const name of path) {
    while (value && (ts.isSatisfiesExpression(value) || ts.isAsExpression(value))) {
      value = value.expression;
    }
    const inside = value && ts.isObjectLiteralExpression(value) ? value.properties : [];
    const property = inside.find((property) => property.name?.getText() === name);
    if (!property) {
      break;
    }
    node = property;
    value = ts.isPropertyAssignment(property) ? property.initializer : undefined;
  }
  return node;
}
