// The code in docs/application.md and docs/application.ja.md is the code of these files, which the other tests run.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const ROOT = new URL('../../../', import.meta.url);
const FENCE = /^(?:<!-- (?<file>\S+)(?:: (?<region>\S+))? -->\n\n)?```(?<language>\S*)\n(?<code>.*?)^```$/gms;

/** The code blocks of a page, each with the file and the region that its comment names. */
function blocksOf(page) {
  const text = readFileSync(new URL(`docs/${page}`, ROOT), 'utf8');
  const blocks = [...text.matchAll(FENCE)].map(({ groups }) => ({ ...groups }));
  assert.equal(blocks.length * 2, text.match(/^ *```/gm).length, `${page}: a code block is not read`);
  return blocks;
}

/** The code between `// region: name` and `// endregion`, or the whole file. */
function codeOf(file, region) {
  const text = readFileSync(new URL(file, ROOT), 'utf8');
  if (region === undefined) return text;
  const [, ...after] = text.split(`// region: ${region}\n`);
  assert.equal(after.length, 1, `${file}: the region ${region} is there once`);
  return after[0].split('// endregion')[0];
}

for (const page of ['application.md', 'application.ja.md']) {
  test(`given ${page}, when its code is compared with the files that it names, then it is the same`, () => {
    const blocks = blocksOf(page);

    assert.ok(blocks.length > 0);
    for (const { file, region, code } of blocks) {
      assert.ok(file, `a code block names no file: ${code}`);
      assert.equal(code, codeOf(file, region), `${file}: ${region}`);
    }
  });

  test(`given ${page}, when its links to files are followed, then each leads to one`, () => {
    const text = readFileSync(new URL(`docs/${page}`, ROOT), 'utf8');
    const links = [...text.matchAll(/\]\((?<file>[^):#]+)(?:#[^)]*)?\)/g)].map(({ groups }) => groups.file);

    assert.ok(links.length > 0);
    for (const file of links) assert.ok(existsSync(new URL(`docs/${file}`, ROOT)), file);
  });
}
