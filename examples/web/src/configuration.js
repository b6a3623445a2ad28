// The configuration that the operator switches, and how the application notices it.

// region: read
const LAST = 'configuration';

/** Reads which pool is active. If the host does not answer, the last configuration that it gave is still used. */
export async function readConfiguration(url, storage) {
  try {
    const answer = await fetch(url, { cache: 'no-store', signal: AbortSignal.timeout(3000) });
    const configuration = checked(await answer.json());
    storage.setItem(LAST, JSON.stringify(configuration));
    return configuration;
  } catch (error) {
    const last = storage.getItem(LAST);
    if (last === null) throw error;
    return JSON.parse(last);
  }
}

function checked(configuration) {
  const isPool = (pool) => typeof pool?.userPoolId === 'string' && typeof pool?.clientId === 'string';
  const isKnown = ['primary', 'secondary', 'maintenance'].includes(configuration.active);
  if (!isKnown || !isPool(configuration.primary) || !isPool(configuration.secondary)) {
    throw new Error('this is not a configuration');
  }
  return configuration;
}
// endregion

// region: watch
/** Starts the page again when the operator has switched. Every page asks at a moment of its own, not all at once. */
export function watchConfiguration(read, active, startAgain, seconds = 30) {
  const pause = () => 1000 * seconds * (0.5 + Math.random());
  const look = async () => {
    const configuration = await read().catch(() => null);
    if (configuration !== null && configuration.active !== active) startAgain();
    else setTimeout(look, pause());
  };
  setTimeout(look, pause());
}
// endregion
