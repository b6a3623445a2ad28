// The pool that the application uses.

// region: use
import { Amplify } from 'aws-amplify';

const POOL = 'pool';

/** Lets Amplify use the active pool. What is left of a session in the other pool is deleted first. */
export function useActivePool(configuration, storage) {
  const pool = configuration[configuration.active];
  if (storage.getItem(POOL) !== pool.userPoolId) {
    forgetSession(storage);
    storage.setItem(POOL, pool.userPoolId);
  }
  Amplify.configure({
    Auth: {
      Cognito: {
        userPoolId: pool.userPoolId,
        userPoolClientId: pool.clientId,
        userPoolEndpoint: pool.endpoint, // only for the local regions; undefined on AWS
      },
    },
  });
}

/** Deletes tokens and device keys without a call: a sign-out would wait for the region that is lost. */
export function forgetSession(storage) {
  const ofAmplify = Object.keys(storage).filter((key) => key.startsWith('CognitoIdentityServiceProvider.'));
  for (const key of ofAmplify) storage.removeItem(key);
}
// endregion
