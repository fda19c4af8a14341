"""The attribution methods: each is a function of a session, with its options as keywords.

gradients       one gradient: saliency, gradient x input, guided backpropagation, deconvnet
path, noise     many gradients: integrated gradients; SmoothGrad
cam, channels   a layer's channels weighed by gradients; by further passes
fullgrad        the input's and every bias's part of the score
transformers    attention: rollout, gradient x attention, LeGrad
perturbation    no gradient: occlusion, RISE
superpixels     no gradient: LIME, KernelSHAP
captum_classes  any attribution class of captum
baselines       what a pixel becomes when it is taken away
"""
