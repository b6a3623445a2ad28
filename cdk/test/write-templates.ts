// Writes the templates of both ways into a folder, for cfn-lint.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { templates, WAYS } from './app.ts';

const folder = process.argv[2] as string;
mkdirSync(folder, { recursive: true });
for (const [way, configuration] of Object.entries(WAYS)) {
  for (const [stack, template] of Object.entries(templates(configuration))) {
    const name = `${way.replaceAll(' ', '-')}-${stack}.template.json`;
    writeFileSync(join(folder, name), JSON.stringify(template.toJSON(), null, 1));
  }
}
