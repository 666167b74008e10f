// Package signin lets people sign in: on pages of its own with passwords, codes of an authenticator app, passkeys or at
// an OpenID provider ([Pages]), after which a cookie stands for them ([Sessions]), and with a JWT of the host
// application ([JWT]; [MintJWT] makes one for use on the machine itself).
package signin
