// Writes the templates of all ways into a folder, for cfn-lint.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Template } from 'aws-cdk-lib/assertions';
import { SINGLE_WAYS, singleTemplate, templates, WAYS } from './app.ts';

const folder = process.argv[2] as string;
mkdirSync(folder, { recursive: true });
for (const [way, configuration] of Object.entries(WAYS)) {
  for (const [stack, template] of Object.entries(templates(configuration))) {
    write(`${way}-${stack}`, template);
  }
}
for (const [way, configuration] of Object.entries(SINGLE_WAYS)) {
  write(way, singleTemplate(configuration));
}

function write(name: string, template: Template): void {
  const file = join(folder, `${name.replaceAll(' ', '-')}.template.json`);
  writeFileSync(file, JSON.stringify(template.toJSON(), null, 1));
}
