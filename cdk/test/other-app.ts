// Packs the package twinpool-cdk, installs it in a folder outside of cdk/, and compiles and runs the app of test/other-app with it.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { temporaryFolder } from './temporary.ts';

const CDK_FOLDER = resolve(import.meta.dirname, '..');

/** The packages that the app installs besides twinpool-cdk. The tests have them already, and no network. */
const INSTALLED = ['aws-cdk-lib', 'cdk-nag', 'constructs', 'typescript', '@types/node', 'undici-types'];

/** The names of the files of the packed package, and the folder of the templates of the app, by the names of its stacks. */
export interface OtherApp {
  readonly packed: string[];
  readonly cloudAssembly: string;
}

export function synthesiseOtherApp(): OtherApp {
  const folder = temporaryFolder();
  const run = (command: string, args: string[], cwd: string) => {
    try {
      return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    } catch (error) {
      const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
      throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}${stderr}`);
    }
  };
  const bin = join(CDK_FOLDER, 'node_modules/.bin');
  run(join(bin, 'tsc'), ['--project', 'package'], CDK_FOLDER);
  const [{ filename, files }] = JSON.parse(
    run('npm', ['pack', './package', '--ignore-scripts', '--json', '--pack-destination', folder], CDK_FOLDER),
  );
  for (const name of INSTALLED) {
    const link = join(folder, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(CDK_FOLDER, 'node_modules', name), link);
  }
  const installed = join(folder, 'node_modules/twinpool-cdk');
  mkdirSync(installed);
  run('tar', ['-xzf', join(folder, filename), '--strip-components=1', '-C', installed], folder);
  writeFileSync(join(folder, 'package.json'), '{ "name": "other-app", "private": true }\n');
  cpSync(join(import.meta.dirname, 'other-app'), folder, { recursive: true });
  cpSync(join(import.meta.dirname, 'stub'), join(folder, 'stub'), { recursive: true });
  run(join(bin, 'tsc'), ['--project', '.'], folder);
  run(process.execPath, ['app.js'], folder);
  return { packed: files.map(({ path }: { path: string }) => path), cloudAssembly: join(folder, 'cdk.out') };
}

/** A template of the app. */
export function templateOf({ cloudAssembly }: OtherApp, stack: string) {
  return JSON.parse(readFileSync(join(cloudAssembly, `${stack}.template.json`), 'utf8'));
}
