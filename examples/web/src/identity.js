// Who somebody is.

// region: identity
/** The same value for one person in both pools: the key of your application's data. `claims` are those of an ID token. */
export function identityOf(claims) {
  return claims['custom:origin_sub'] || claims.sub;
}
// endregion
