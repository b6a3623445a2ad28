// The function that both pools run before they issue a token (event version V2_0).

// region: function
export const handler = async (event) => {
  const attributes = event.request.userAttributes;
  const identity = attributes['custom:origin_sub'] || attributes.sub;
  event.response.claimsAndScopeOverrideDetails = {
    idTokenGeneration: { claimsToAddOrOverride: { identity } },
    accessTokenGeneration: { claimsToAddOrOverride: { identity } },
  };
  return event;
};
// endregion
