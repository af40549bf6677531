// npm's openid-client, as an agent would use it: asks, exchanges, acts, looks and revokes.
import { createInterface } from "node:readline";
import { writeSync } from "node:fs";
import * as client from "openid-client";

const given = JSON.parse(process.argv[2]);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (told) => writeSync(1, JSON.stringify(told) + "\n");

const config = await client.discovery(
  new URL(given.issuer), given.client_id, given.client_secret, undefined,
  { execute: [client.allowInsecureRequests], algorithm: "oauth2" },
);
const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
say({
  url: client.buildAuthorizationUrl(config, {
    redirect_uri: given.redirect_uri,
    scope: given.scope,
    state,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  }).href,
});

const back = new URL((await lines.next()).value);
const granted = await client.authorizationCodeGrant(
  config, back, { pkceCodeVerifier: verifier, expectedState: state },
);
const own = await client.clientCredentialsGrant(config);
const type = "urn:ietf:params:oauth:token-type:access_token";
const exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
const acting = await client.genericGrantRequest(config, exchange, {
  subject_token: granted.access_token, subject_token_type: type,
  actor_token: own.access_token, actor_token_type: type,
});
const seen = await client.tokenIntrospection(config, acting.access_token);
await client.tokenRevocation(config, acting.access_token);
const after = await client.tokenIntrospection(config, acting.access_token);
say({ scope: granted.scope, issued: acting.issued_token_type, seen, after });
process.exit(0);
