"""Reply templates learned from past replies: mined, matched, proposed."""
