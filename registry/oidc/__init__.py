"""Sign-in of people through the house's identity provider (OpenID Connect), by django-allauth.

allauth keeps the state, makes the PKCE pair and exchanges the code. What decides is here: the
signature and claims of the ID token, who that is on the register, and whether they may come in.
"""
