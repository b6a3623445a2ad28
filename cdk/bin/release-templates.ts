// Writes the CloudFormation templates of a release into a folder. A template of more than 51,200 bytes would have to be uploaded to S3
// first, so they are written without white space.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { createReleaseStacks } from '../lib/release.ts';

const folder = process.argv[2] ?? 'cdk.out/release';
const outdir = mkdtempSync(join(tmpdir(), 'twinpool-release-'));
try {
  const app = new App({ outdir, context: { '@aws-cdk/aws-iam:minimizePolicies': true }, analyticsReporting: false });
  createReleaseStacks(app);
  mkdirSync(folder, { recursive: true });
  for (const { stackName, template } of app.synth().stacks) {
    writeFileSync(join(folder, `${stackName}.template.json`), `${JSON.stringify(template)}\n`);
  }
} finally {
  rmSync(outdir, { recursive: true, force: true });
}
