"""Credentials that services mark as theirs, mostly by how they begin; sources are the services' own descriptions of them.

Each is one word without blanks of at least :data:`LEAST` characters: a text without such a word is not searched.
"""

from __future__ import annotations

from masc_plugin_redaction.shapes import START, Shape, pattern

__all__ = ["LEAST", "SERVICES"]

LEAST = 15
"""Characters of the shortest credential."""
# For beginnings that are short or common: neither digit nor sign of base64 may come before, nor any of them after.
_ALONE = r"(?:(?<![\w+/])|(?<=\\[nrt]))"
_END = r"(?![A-Za-z0-9])"


def _shape(kind: str, hints: str, regex: str, before: str = START) -> Shape:
    return Shape(kind, tuple(hints.split()), pattern(before + regex))


SERVICES: tuple[Shape, ...] = (
    _shape("aws_key", "AKIA ASIA ABIA", r"A[KSB]IA[A-Z0-9]{16}", ""),
    _shape("github_token", "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", r"(?:gh[pousr]_\w{36,}+|github_pat_\w{22,}+)", ""),
    _shape("anthropic_key", "sk-ant-", r"sk-ant-[\w-]{20,}+"),
    _shape("openrouter_key", "sk-or-", r"sk-or-v1-[0-9a-f]{48,}+"),
    _shape(
        "openai_key",
        "sk-",
        r"(?:sk-(?:proj|svcacct|admin|None)-[\w-]{20,}+|sk-(?:[A-Za-z0-9]{48,}+|[0-9a-f]{32}(?![A-Za-z0-9])))",
    ),
    _shape("slack_token", "xox xapp-", r"(?:xoxe\.xox[bp]|xox[a-e]|xox[prs]|xapp)-[A-Za-z0-9-]{10,}+"),
    _shape("google_key", "AIza", r"AIza[\w-]{35}"),
    _shape(
        "google_oauth",
        "GOCSPX- ya29. 1//0",
        rf"(?:GOCSPX-[\w-]{{20,}}+|ya29\.[\w.-]{{20,}}+|{_ALONE}1//0[\w-]{{30,}}+)",
    ),
    _shape(
        "stripe_key",
        "sk_ rk_ whsec_",
        r"(?:[sr]k_(?:live|test)_[A-Za-z0-9]{16,}+|whsec_[A-Za-z0-9+/_-]{16,}+={0,2})",
    ),
    _shape("npm_token", "npm_", r"npm_[A-Za-z0-9]{36,}+"),
    _shape("pypi_token", "pypi-", r"pypi-[\w-]{50,}+"),
    _shape(
        "gitlab_token",
        "glpat- gldt- glrt- glcbt- glptt- glft- glsoat- glimt- glagent- gloas-",
        r"gl(?:pat|dt|rt|cbt|ptt|ft|soat|imt|agent|oas)-[\w.-]{20,}+",
    ),
    _shape("huggingface_token", "hf_ api_org_", r"(?:hf|api_org)_[A-Za-z0-9]{30,}+", _ALONE),
    _shape("docker_token", "dckr_", r"dckr_[po]at_[\w-]{20,}+"),
    _shape("digitalocean_token", "_v1_", r"do[opr]_v1_[0-9a-f]{64}"),
    _shape("sendgrid_key", "SG.", r"SG\.[\w-]{16,32}\.[\w-]{16,}+", _ALONE),
    _shape("twilio_key", "SK", r"SK[0-9a-f]{32}" + _END, _ALONE),
    _shape("mailgun_key", "key-", r"key-[0-9a-f]{32}" + _END, _ALONE),
    _shape("mailchimp_key", "-us", r"[0-9a-f]{32}-us\d{1,2}" + _END, _ALONE),
    _shape("telegram_token", ":AA", r"\d{8,10}:AA[\w-]{33}(?![\w-])", _ALONE),
    _shape("discord_token", ".", r"[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,40}(?![\w-])", _ALONE),
    _shape(
        "webhook",
        "hooks. webhook",
        r"(?:hooks\.slack\.com/(?:services|workflows|triggers)|discord(?:app)?\.com/api/(?:v\d{1,2}/)?webhooks"
        r"|\.webhook\.office\.com/webhookb2|hooks\.zapier\.com/hooks/catch)/([\w@/.-]{20,}+)",
        "",
    ),
    _shape(
        "azure_key",
        "AccountKey= SharedAccessKey= sig= Q~",
        r"(?:(?<=AccountKey=)|(?<=SharedAccessKey=)|(?<=[?&;]sig=)|(?<=[?&]amp;sig=))[\w%+/-]{40,}+={0,2}"
        rf"|{_ALONE}[\w~.-]{{3}}\dQ~[\w~.-]{{31,34}}",
        "",
    ),
    _shape("vault_token", "hvs. hvb. hvr.", r"hv[sbr]\.[\w-]{24,}+"),
    _shape("terraform_token", ".atlasv1.", r"[A-Za-z0-9]{14}\.atlasv1\.[\w-]{60,}+", _ALONE),
    _shape("pulumi_token", "pul-", r"pul-[0-9a-f]{40}" + _END, _ALONE),
    _shape("doppler_token", "dp.", r"dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{40,}+", _ALONE),
    _shape("shopify_token", "shp", r"shp(?:at|ca|pa|ss|tka)_[0-9A-Fa-f]{32}", _ALONE),
    _shape("square_token", "sq0 EAAA", r"(?:sq0[a-z]{3}-[\w-]{22,}+|EAAA[\w-]{60}(?![\w/+-]))", _ALONE),
    _shape("databricks_token", "dapi", r"dapi[0-9a-f]{32}(?:-\d)?" + _END, _ALONE),
    _shape("newrelic_key", "NR", r"(?:NR(?:AK|JS|II|IQ|RA|BR|SP|MA)-[\w-]{19,}+|[0-9a-f]{36}NRAL)", _ALONE),
    _shape("grafana_token", "glsa_ glc_", r"(?:glsa_[A-Za-z0-9]{32}_[0-9a-fA-F]{8}|glc_[A-Za-z0-9+/]{32,}+={0,3})"),
    _shape("linear_key", "lin_", r"lin_(?:api|oauth|wh)_[A-Za-z0-9]{32,}+"),
    _shape("notion_token", "ntn_ secret_", r"(?:ntn_[A-Za-z0-9]{40,}+|secret_[A-Za-z0-9]{43}" + _END + ")", _ALONE),
    _shape(
        "atlassian_token", "ATATT3 ATCTT3 ATBB", r"(?:AT[AC]TT3[\w-]{50,}+=?[0-9A-F]{0,8}|ATBB[A-Za-z0-9]{32})", _ALONE
    ),
    _shape("heroku_key", "HRKU-", r"HRKU-[\w-]{36,}+"),
    _shape("cloudflare_key", "v1.0-", r"v1\.0-[0-9a-f]{24}-[0-9a-f]{100,}+", _ALONE),
    _shape("groq_key", "gsk_", r"gsk_[A-Za-z0-9]{48,}+"),
    _shape("replicate_key", "r8_", r"r8_[A-Za-z0-9]{37,}+", _ALONE),
    _shape("xai_key", "xai-", r"xai-[A-Za-z0-9]{70,}+"),
    _shape("perplexity_key", "pplx-", r"pplx-[A-Za-z0-9]{40,}+"),
    _shape("langsmith_key", "lsv2_", r"lsv2_(?:pt|sk)_[0-9a-f]{32}(?:_[0-9a-f]{10})?"),
    _shape("postman_key", "PMAK-", r"PMAK-[0-9a-f-]{59}"),
    _shape("rubygems_key", "rubygems_", r"rubygems_[0-9a-f]{48}"),
    _shape("planetscale_token", "pscale_", r"pscale_(?:tkn|pw|oauth)_[\w.-]{32,}+"),
    _shape("supabase_key", "sbp_ sb_secret_", r"(?:sbp_[0-9a-f]{40}|sb_secret_[\w-]{20,}+)", _ALONE),
    _shape("figma_token", "figd_", r"figd_[\w-]{40,}+"),
    _shape("sonar_token", "sqp_ squ_ sqa_", r"sq[pua]_[0-9a-f]{40}", _ALONE),
    _shape("netlify_token", "nfp_", r"nfp_[A-Za-z0-9]{36,}+", _ALONE),
    _shape("jfrog_key", "AKCp", r"AKCp[A-Za-z0-9]{60,}+", _ALONE),
    _shape("dynatrace_token", "dt0", r"dt0[a-z]\d{2}\.[A-Z0-9]{24}(?:\.[A-Z0-9]{64})?" + _END),
    _shape("airtable_token", "pat", r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}", _ALONE),
    _shape(
        "service_token",
        "tskey- CCIPAT_ CFPAT- xkeysib- EAAC EAAB sk.eyJ sl. oy2 CLOJARS_ tfp_ pnu_ bkua_ fm2_ pcsk_ ops_eyJ tvly- "
        "shippo_ access- aio_ rdme_ ico- nvapi- phx_ phc_",
        r"(?:tskey-[a-z]{2,12}-[A-Za-z0-9-]{20,}+|CCIPAT_[\w-]{30,}+|CFPAT-[\w-]{43}|xkeysib-[0-9a-f]{64}-\w{16}"
        r"|EAA[BC][A-Za-z0-9]{80,}+|sk\.eyJ[\w-]{40,}+\.[\w-]{20,}+|sl\.[\w-]{130,}+|oy2[a-z0-9]{43}(?![A-Za-z0-9])"
        r"|CLOJARS_[0-9a-f]{60}|tfp_[\w-]{40,}+|pnu_[A-Za-z0-9]{36}|bkua_[0-9a-f]{40}|fm2_[A-Za-z0-9+/=]{60,}+"
        r"|pcsk_[A-Za-z0-9_]{40,}+|ops_eyJ[A-Za-z0-9+/=_-]{200,}+|tvly-[A-Za-z0-9-]{28,}+|shippo_(?:live|test)_[0-9a-f]{40}"
        r"|access-(?:sandbox|development|production)-[0-9a-f-]{36}|aio_[A-Za-z0-9]{28}|rdme_[a-z0-9]{70}|ico-[A-Za-z0-9]{32}"
        r"|nvapi-[\w-]{60,}+|ph[xc]_[A-Za-z0-9]{40,}+)",
        _ALONE,
    ),
    _shape("age_key", "AGE-SECRET-KEY-", r"AGE-SECRET-KEY-(?:PQ-)?1[A-Z0-9]{50,}+"),
    _shape("sentry_dsn", "://", r"(?<=://)[0-9a-f]{32}(?=[:@])", ""),
)
"""In the order in which they win."""
