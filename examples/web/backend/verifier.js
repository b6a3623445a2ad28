// What a back end accepts.

// region: verifier
import { readFileSync } from 'node:fs';
import { CognitoJwtVerifier } from 'aws-jwt-verify';

/** Verifies access tokens of both pools, at any time: during a switch, people come with tokens of either. */
export function createVerifier({ primary, secondary }) {
  const pools = [primary, secondary];
  const verifier = CognitoJwtVerifier.create(
    pools.map(({ userPoolId, clientId }) => ({ userPoolId, clientId, tokenUse: 'access' })),
  );
  for (const { userPoolId, keys } of pools) {
    // The key document of a lost region may not answer, so that a server which starts then needs a copy.
    verifier.cacheJwks(JSON.parse(readFileSync(keys, 'utf8')), userPoolId);
  }
  return verifier;
}

/** Who sent this token: the claim that the function before the issue of tokens adds in both pools. */
export async function whoIs(verifier, token) {
  const claims = await verifier.verify(token);
  if (!claims.identity) throw new Error('this token does not carry an identity');
  return claims.identity;
}
// endregion
