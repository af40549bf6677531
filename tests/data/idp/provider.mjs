// An OpenID provider that registers clients (RFC 7591) and lets them be managed (RFC 7592), on
// TLS at a loopback port. Says its issuer on the first line, then answers until it is stopped.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import Provider from 'oidc-provider';

const [port, cert, key, token] = process.argv.slice(2);
const issuer = `https://localhost:${port}`;
const resource = 'https://muster.example/api';

const provider = new Provider(issuer, {
  features: {
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    devInteractions: { enabled: false },
    registration: { enabled: true, initialAccessToken: token },
    registrationManagement: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      getResourceServerInfo: () => ({ scope: '', accessTokenFormat: 'jwt' }),
    },
  },
});

createServer({ cert: readFileSync(cert), key: readFileSync(key) }, provider.callback()).listen(
  Number(port),
  '127.0.0.1',
  () => console.log(issuer),
);
