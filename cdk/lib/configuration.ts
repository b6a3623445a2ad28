// The configuration file twinpool.config.ts: its type, its validation with errors that name the line, and writing the outputs of the
// secondary stack into it.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { RegionInfo } from 'aws-cdk-lib/region-info';
import ts from 'typescript';

export interface Configuration {
  /** The prefix of the names of the stacks. Two pairs in one account need two names. Without it, the name is DEFAULT_NAME. */
  name?: string;
  primary: PoolChoice;
  /** null for a pool without a twin: the pool is backed up, and restored into itself. */
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
  /** Only for an existing pool: the ARN of its own post-confirmation function, which invokes twinpool's trigger. */
  postConfirmation?: string;
}

export interface Twin extends PoolChoice, SecondaryOutputs {
  /** Whether an existing pool gets the fence. */
  fence?: boolean;
  /** Only with the fence: for how many days the requests that it has looked at are kept. */
  fenceLogDays?: number;
}

/** Outputs of the secondary stack that the primary stack needs. */
export interface SecondaryOutputs {
  userPoolId: string;
  snapshotBucket: string;
  snapshotKeyId: string;
}

/** The name of a deployment whose configuration gives none. */
export const DEFAULT_NAME = 'Twinpool';

/** The names of the stacks of a configuration. */
export function stackNames({ name = DEFAULT_NAME }: Configuration) {
  return { primary: `${name}Primary`, secondary: `${name}Secondary`, single: `${name}Backup` };
}

/** The configuration file of this run: the one that TWINPOOL_CONFIG names, or cdk/twinpool.config.ts. */
export function configurationFile(): string {
  return resolve(process.env['TWINPOOL_CONFIG'] || resolve(import.meta.dirname, '../twinpool.config.ts'));
}

/** The configuration of a pool and its twin. */
export type ConfigurationWithTwin = Configuration & { secondary: Twin };

export function hasTwin(configuration: Configuration): configuration is ConfigurationWithTwin {
  return configuration.secondary !== null;
}

/** The optional environment variables of the functions, and the values that each accepts. */
export const VARIABLES = {
  ACTIVATE_REPLICAS: { of: 'replicate-fn', accepts: "'true' or 'false'", pattern: /^(true|false)$/ },
  REPLICATION_BUDGET_MS: {
    of: 'replicate-fn',
    accepts: "a whole number of milliseconds, such as '3000'",
    pattern: /^\d{1,5}$/,
  },
  // ListUsers has a quota of 30 calls per second, and changes of users one of 25. Neither can be raised (facts N3).
  RECONCILE_LIST_RPS: {
    of: 'replicate-fn',
    accepts: "a whole number of calls per second from '1' to '30', such as '10'",
    pattern: /^([1-9]|[12]\d|30)$/,
  },
  RECONCILE_WRITES_RPS: {
    of: 'replicate-fn',
    accepts: "a whole number of calls per second from '1' to '25', such as '10'",
    pattern: /^([1-9]|1\d|2[0-5])$/,
  },
  // The schedule starts no reconcile more often than every 300 seconds.
  RECONCILE_EVERY_S: {
    of: 'replicate-fn',
    accepts: "a whole number of seconds, at least '300', such as '3600'",
    pattern: /^([3-9]\d\d|[1-9]\d{3,6})$/,
  },
  GROUPS_EVERY_S: {
    of: 'replicate-fn',
    accepts: "a whole number of seconds, at least '300', such as '86400'",
    pattern: /^([3-9]\d\d|[1-9]\d{3,6})$/,
  },
  WITHHOLD_DAYS: {
    of: 'replicate-fn',
    accepts: "a whole number of days, such as '7'",
    pattern: /^[1-9]\d{0,3}$/,
  },
  LIST_USERS_RPS: {
    of: 'backup-fn',
    accepts: "a whole number of calls per second, such as '20'",
    pattern: /^[1-9]\d{0,3}$/,
  },
  LOOKUPS_RPS: {
    of: 'backup-fn',
    accepts: "a whole number of calls per second, such as '40'",
    pattern: /^[1-9]\d{0,3}$/,
  },
  SNAPSHOT_POOL_INTERVAL_S: {
    of: 'backup-fn',
    accepts: "a whole number of seconds, such as '3600'",
    pattern: /^\d{1,6}$/,
  },
  SNAPSHOT_MIN_INTERVAL_S: {
    of: 'backup-fn',
    accepts: "a whole number of seconds, such as '60'",
    pattern: /^\d{1,6}$/,
  },
  SHRINK_GUARD_PERCENT: { of: 'backup-fn', accepts: "a percentage from '0' to '100'", pattern: /^(100|\d{1,2})$/ },
} as const;

/** A mistake in the configuration: the path of the property, and a text with its value and how to fix it. */
interface Mistake {
  path: string[];
  fix: string;
}

/** The mistakes of a configuration file, one per line. Also thrown when a step of the deployment fails. */
export class ConfigurationError extends Error {}

/** Reads and validates a configuration file. Throws a ConfigurationError that lists all mistakes. */
export async function readConfiguration(file: string): Promise<Configuration> {
  const value = await load(file);
  const mistakes = check(value);
  if (mistakes.length > 0) {
    const source = parse(file);
    const lines = mistakes
      .map(({ path, fix }) => ({
        line: lineOf(source, path),
        text: `${path.join('.') || 'the configuration'} ${fix}`,
      }))
      .sort((a, b) => a.line - b.line)
      .map(({ line, text }) => `${basename(file)}:${line}: ${text}`);
    throw new ConfigurationError(lines.join('\n'));
  }
  return value;
}

/** The default export of a configuration file. Throws a ConfigurationError if the file cannot be run. */
async function load(file: string): Promise<Unchecked> {
  if (!existsSync(file)) {
    throw new ConfigurationError(`${file} does not exist. TWINPOOL_CONFIG names the configuration file.`);
  }
  const { diagnostics = [] } = ts.transpileModule(readFileSync(file, 'utf8'), {
    fileName: file,
    reportDiagnostics: true,
    compilerOptions: { target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext },
  });
  if (diagnostics.length > 0) {
    const lines = diagnostics.map(({ messageText, start = 0 }) => {
      const line = parse(file).getLineAndCharacterOfPosition(start).line + 1;
      return `${basename(file)}:${line}: this is no valid TypeScript: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
    });
    throw new ConfigurationError(lines.join('\n'));
  }
  try {
    const { default: value } = await import(pathToFileURL(file).href);
    // Outside of a package of ES modules, the file is loaded as a CommonJS module.
    return value?.__esModule ? value.default : value;
  } catch (error) {
    throw new ConfigurationError(`${basename(file)} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}

/** Writes outputs of a stack into a configuration file, and leaves everything else in it unchanged. */
export function writeOutputs(
  file: string,
  pool: 'primary' | 'secondary',
  outputs: Pick<PoolChoice, 'userPoolId'> | SecondaryOutputs,
): void {
  for (const [name, value] of Object.entries(outputs)) {
    const source = parse(file);
    const node = find(source, [pool, name]);
    if (!ts.isPropertyAssignment(node) || node.name.getText() !== name) {
      throw new ConfigurationError(
        `${basename(file)} has no line for ${pool}.${name}. Add the line ${name}: '${value}' to ${pool}.`,
      );
    }
    const { initializer } = node;
    const text = source.getFullText();
    writeFileSync(file, `${text.slice(0, initializer.getStart())}'${value}'${text.slice(initializer.getEnd())}`);
  }
}

/** A value from the file that has not been validated: it can be anything. */
// biome-ignore lint/suspicious/noExplicitAny: see above
type Unchecked = any;

function check(value: Unchecked): Mistake[] {
  const found = new Mistakes();
  const known = [
    ...['primary', 'secondary', 'newPools', 'originSubAttribute', 'architecture', 'triggerConcurrency'],
    ...['snapshotDays', 'logDays', 'alarmEmail', 'variables', 'name'],
  ];
  if (found.isObject(value, '', known)) {
    const { name } = value;
    const fix = `Give up to ${MAX_NAME} letters, digits and hyphens, beginning with a letter, such as 'Orders', or remove the line.`;
    found.expect(name === undefined || NAME.test(name), 'name', `${shown(name)}. ${fix}`);
    checkPools(value, found);
    checkNewPools(value, found);
    checkFunctions(value, found);
    checkRetentionAndAlarms(value, found);
  }
  return found.list;
}

/** Collects the mistakes. */
class Mistakes {
  readonly list: Mistake[] = [];

  /** Adds a mistake if a condition is false. Returns the condition. */
  expect(holds: boolean, path: string, fix: string): boolean {
    if (!holds) {
      this.list.push({ path: path.split('.').filter(Boolean), fix });
    }
    return holds;
  }

  /** Checks that a value is an object without unknown properties. An unknown property is most likely misspelt. */
  isObject(value: Unchecked, path: string, known: readonly string[], alternative = ''): boolean {
    const isObject = typeof value === 'object' && value !== null;
    for (const key of isObject ? Object.keys(value) : []) {
      this.expect(
        known.includes(key),
        path ? `${path}.${key}` : key,
        REFUSED[key] ?? `is unknown. Known properties: ${known.join(', ')}.`,
      );
    }
    return this.expect(isObject, path, `${shown(value)}. It must be an object with ${known.join(', ')}${alternative}.`);
  }
}

function checkPools({ primary, secondary }: Unchecked, found: Mistakes): void {
  const isPrimary = found.isObject(primary, 'primary', POOL_PROPERTIES) && checkPool('primary', primary, found);
  if (secondary === null) {
    return;
  }
  const twinProperties = [...POOL_PROPERTIES, 'snapshotBucket', 'snapshotKeyId', 'fence', 'fenceLogDays'];
  const isTwin = found.isObject(secondary, 'secondary', twinProperties, ', or null for a pool without a twin');
  if (!isTwin || !checkPool('secondary', secondary, found) || !isPrimary) {
    return;
  }
  for (const [name, pattern] of Object.entries(SNAPSHOT_PROPERTIES)) {
    const given = secondary[name];
    const fix = `${shown(given)}. Leave it empty (''): make deploy writes it.`;
    found.expect(given === '' || (typeof given === 'string' && pattern.test(given)), `secondary.${name}`, fix);
  }
  const sameRegion = 'is also the primary region. The twin would be lost together with it: choose another region.';
  found.expect(primary.region !== secondary.region, 'secondary.region', sameRegion);
  const { pool, fence, fenceLogDays } = secondary;
  if (pool === 'existing') {
    const fix = 'Choose whether this existing pool gets the fence: true, or false if it has a web ACL of its own.';
    found.expect(typeof fence === 'boolean', 'secondary.fence', `${shown(fence)}. ${fix}`);
  } else {
    const fix = 'A new pool always gets the fence: remove the line.';
    found.expect(fence === undefined, 'secondary.fence', `${shown(fence)}. ${fix}`);
  }
  const [areDays, fix] =
    fence === false
      ? [fenceLogDays === undefined, 'This pool does not get the fence: remove the line.']
      : [
          fenceLogDays === undefined || LOG_PERIODS.includes(fenceLogDays),
          `Give one of ${LOG_PERIODS.join(', ')}, or remove the line to log nothing.`,
        ];
  found.expect(areDays, 'secondary.fenceLogDays', `${shown(fenceLogDays)}. ${fix}`);
}

/** Checks the region, the kind and the id of a pool, and that they match each other. */
function checkPool(name: string, { region, pool, userPoolId, postConfirmation }: Unchecked, found: Mistakes): boolean {
  const notARegion = `${shown(region)}. Give an AWS region, such as 'ap-northeast-1'.${similarRegions(region)}`;
  const isRegion = found.expect(REGIONS.includes(region), `${name}.region`, notARegion);
  const isNew = pool === 'new';
  const isKind = found.expect(isNew || pool === 'existing', `${name}.pool`, `${shown(pool)}. Use 'new' or 'existing'.`);
  if (!isRegion || !isKind) {
    return false;
  }
  const anId = `the id of a pool in ${region}, such as '${region}_AbCdEf123'`;
  const isId = POOL_ID.test(userPoolId) && userPoolId.startsWith(`${region}_`);
  const [holds, fix] = !isNew
    ? [isId, `Give ${anId}.`]
    : [
        isId || userPoolId === '',
        `Leave it empty (''): make deploy writes ${anId}. If the pool exists already, use pool: 'existing'.`,
      ];
  checkOwnFunction(name, { region, pool, postConfirmation }, found);
  return found.expect(holds, `${name}.userPoolId`, `${shown(userPoolId)}. ${fix}`);
}

/** Checks the function that an existing pool runs after a confirmation instead of twinpool's trigger. */
function checkOwnFunction(name: string, { region, pool, postConfirmation }: Unchecked, found: Mistakes): void {
  const isFunction = FUNCTION_ARN.test(postConfirmation) && postConfirmation.split(':')[3] === region;
  const [holds, fix] =
    pool === 'new'
      ? [postConfirmation === undefined, 'A new pool always runs the trigger itself: remove the line.']
      : [
          postConfirmation === undefined || isFunction,
          `Give the ARN of a function in ${region}, or remove the line if the pool runs the trigger itself.`,
        ];
  found.expect(holds, `${name}.postConfirmation`, `${shown(postConfirmation)}. ${fix}`);
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
  const duplicate = `contains ${originSubAttribute}, which is the originSubAttribute already: remove it here.`;
  found.expect(!names.includes(originSubAttribute), path, duplicate);
  const notASender = `${shown(mailFrom)}. Give a mail address, such as 'no-reply@example.jp', or remove the line.`;
  found.expect(mailFrom === undefined || EMAIL.test(mailFrom), 'newPools.mailFrom', notASender);
}

function checkFunctions({ secondary, architecture, triggerConcurrency, variables }: Unchecked, found: Mistakes): void {
  found.expect(
    architecture === 'arm64' || architecture === 'x86_64',
    'architecture',
    `${shown(architecture)}. Use 'arm64' or 'x86_64'.`,
  );
  found.expect(
    triggerConcurrency === null || isWhole(triggerConcurrency),
    'triggerConcurrency',
    `${shown(triggerConcurrency)}. Give a whole number above 0, or null.`,
  );
  // Without a twin there is no replicate-fn.
  const known = Object.entries(VARIABLES).filter(([, { of }]) => of === 'backup-fn' || secondary !== null);
  const names = known.map(([name]) => name);
  if (!found.isObject(variables, 'variables', names)) {
    return;
  }
  for (const [name, { accepts, pattern }] of known) {
    const given = variables[name];
    const holds = given === undefined || (typeof given === 'string' && pattern.test(given));
    found.expect(holds, `variables.${name}`, `${shown(given)}. Give ${accepts}.`);
  }
}

function checkRetentionAndAlarms({ snapshotDays, logDays, alarmEmail }: Unchecked, found: Mistakes): void {
  found.expect(
    isWhole(snapshotDays),
    'snapshotDays',
    `${shown(snapshotDays)}. Give a whole number of days, such as 90.`,
  );
  found.expect(LOG_PERIODS.includes(logDays), 'logDays', `${shown(logDays)}. Give one of ${LOG_PERIODS.join(', ')}.`);
  found.expect(
    alarmEmail === '' || EMAIL.test(alarmEmail),
    'alarmEmail',
    `${shown(alarmEmail)}. Give a mail address, such as 'ops@example.jp', or ''.`,
  );
}

/** How an error describes a value. */
function shown(value: unknown): string {
  return value === undefined ? 'is missing' : `is ${JSON.stringify(value)}`;
}

function isWhole(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) > 0;
}

/** The regions that this version of the CDK knows. */
const REGIONS = RegionInfo.regions.map(({ name }) => name);

/** A sentence with the regions of the same area, such as ap-northeast, for an error. */
function similarRegions(region: unknown): string {
  const area = String(region).replace(/-?\d*$/, '');
  const similar = REGIONS.filter((name) => area.includes('-') && name.startsWith(`${area}-`));
  return similar.length > 0 ? ` This version of the CDK knows ${similar.join(', ')}.` : '';
}

/** Properties that somebody may expect, and why there are none. */
const REFUSED: Readonly<Record<string, string>> = {
  account:
    'cannot be given: both pools are in the account whose credentials deploy them. A user pool has no policy that lets another account ' +
    'in, so each sign-up would depend on one more service, which hands out the credentials of a role there. Remove the line.',
};

/** The numbers of days for which CloudWatch Logs can keep a log. */
const LOG_PERIODS = Object.values(RetentionDays).filter((days) => Number(days) < RetentionDays.INFINITE);

/** A longer one would be cut off in the names of the functions, which CloudFormation makes from it. */
const MAX_NAME = 24;
const NAME = new RegExp(`^[A-Za-z][A-Za-z0-9-]{0,${MAX_NAME - 1}}$`);
const POOL_PROPERTIES = ['region', 'pool', 'userPoolId', 'postConfirmation'];
const SNAPSHOT_PROPERTIES = { snapshotBucket: /^[a-z0-9.-]{3,63}$/, snapshotKeyId: /^[\w-]+$/ };
const POOL_ID = /^[\w-]+_[0-9a-zA-Z]+$/;
const FUNCTION_ARN = /^arn:[\w-]+:lambda:[\w-]+:\d{12}:function:[\w-]+(:[\w$-]+)?$/;
const ATTRIBUTE = /^custom:\w{1,20}$/;
const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]+$/;

function parse(file: string): ts.SourceFile {
  return ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
}

function lineOf(source: ts.SourceFile, path: string[]): number {
  return source.getLineAndCharacterOfPosition(find(source, path).getStart()).line + 1;
}

/** The property at a path of the file's default export, or its innermost enclosing property that exists. */
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
