// Temporary folders of the tests.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = mkdtempSync(join(tmpdir(), 'twinpool-cdk-'));

process.on('exit', () => rmSync(ROOT, { recursive: true, force: true }));

/** Creates a folder that is removed when the process ends. */
export function temporaryFolder(): string {
  return mkdtempSync(join(ROOT, 'folder-'));
}
