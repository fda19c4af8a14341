"""One change for many pictures, a perturbation or a printed patch: learned on some, measured on others."""
