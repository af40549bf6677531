// An OpenID provider with people: npm's oidc-provider with a plain sign-in form, on TLS at a
// loopback port. Says its issuer on the first line. `POST /test` (JSON) changes what it knows of
// people, how they signed in, and `"rotate": true` gives it new keys.
import { randomUUID } from 'node:crypto';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import Provider from 'oidc-provider';

const [port, cert, key, client, back] = process.argv.slice(2);
const issuer = `https://localhost:${port}`;
let people = {};
let provider;

function keys() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' }] };
}

function build() {
  provider = new Provider(issuer, {
    jwks: keys(),
    clients: [JSON.parse(client)],
    claims: { openid: ['sub', 'amr', 'acr', 'auth_time'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
    scopes: ['openid', 'email', 'profile', 'groups'],
    conformIdTokenClaims: true,
    pkce: { required: () => true },
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: true },
    },
    interactions: { url: (_, interaction) => `/sign-in/${interaction.uid}` },
    async loadExistingGrant(ctx) {
      const grant = new ctx.oidc.provider.Grant({
        clientId: ctx.oidc.client.clientId,
        accountId: ctx.oidc.session.accountId,
      });
      grant.addOIDCScope('openid email profile groups');
      await grant.save();
      return grant;
    },
    findAccount: (_, id) => {
      const found = people[id];
      return found && { accountId: id, claims: () => ({ sub: id, ...found.claims }) };
    },
  });
}

async function body(req) {
  let found = '';
  for await (const piece of req) found += piece;
  return found;
}

async function form(req, res) {
  const { prompt } = await provider.interactionDetails(req, res);
  res.setHeader('content-type', 'text/html');
  res.end(`<!doctype html><title>House</title><form method="post"><h1>The house asks: ${prompt.name}</h1>
<label>Name <input name="login"></label><button>Sign in at the house</button></form>`);
}

async function answer(req, res) {
  const name = new URLSearchParams(await body(req)).get('login');
  const found = people[name];
  const result = found && !found.off
    ? { login: { accountId: name, amr: found.amr, acr: found.acr, remember: true } }
    : { error: 'access_denied', error_description: 'switched off' };
  await provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
}

async function change(req, res) {
  const told = JSON.parse(await body(req));
  people = told.people ?? people;
  if (told.rotate) build();
  res.end('{}');
}

build();
createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (req, res) => {
  const path = req.url.split('?')[0];
  const done = path === '/test' ? change(req, res)
    : !path.startsWith('/sign-in/') ? provider.callback()(req, res)
    : req.method === 'POST' ? answer(req, res) : form(req, res);
  Promise.resolve(done).catch((error) => { res.statusCode = 500; res.end(String(error)); });
}).listen(Number(port), '127.0.0.1', () => console.log(issuer));
