// Writes the templates of all variants, and of the app that uses the packed package, into a folder, for cfn-lint.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Template } from 'aws-cdk-lib/assertions';
import { SINGLE_VARIANTS, singleTemplate, templates, VARIANTS } from './app.ts';
import { synthesiseOtherApp, templateOf } from './other-app.ts';

const folder = process.argv[2] as string;
mkdirSync(folder, { recursive: true });
for (const [variant, configuration] of Object.entries(VARIANTS)) {
  for (const [stack, template] of Object.entries(templates(configuration))) {
    write(`${variant}-${stack}`, template);
  }
}
for (const [variant, configuration] of Object.entries(SINGLE_VARIANTS)) {
  write(variant, singleTemplate(configuration));
}

const other = synthesiseOtherApp();
for (const stack of ['ShopTokyo', 'ShopOsaka']) {
  write(`other-app-${stack}`, Template.fromJSON(templateOf(other, stack)));
}

function write(name: string, template: Template): void {
  const file = join(folder, `${name.replaceAll(' ', '-')}.template.json`);
  writeFileSync(file, JSON.stringify(template.toJSON(), null, 1));
}
