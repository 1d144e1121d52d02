"""Recognition of skin lesions: from a picture to the probabilities of eight diagnoses, and the training behind it.

A library without Django. It imports neither the applications nor their settings. From the ground up:

- `taxonomy`: the eight ISIC 2019 diagnoses, in their one order;
- `progress`, `failpoints`: progress reports of long steps; points where a test can break a worker;
- `sandbox`: decodes untrusted picture files in a child process with hard limits;
- `inference`: preprocessing, network, sealed bundle, runtime; gates, advice and heatmap of a picture;
- `datasets`: ISIC tables and pictures, splits, duplicates;
- `classify`: classifies files, folders and zips with a bundle;
- `recipes`: all settings of a training, as plain data;
- `evaluation`: metrics with intervals, agreement, the model card;
- `fit`: trains by a recipe and seals the result as a bundle.

Classify files with a bundle:

    loaded = load_classifier(read_bundle(Path("bundles/default")))
    sources, _left_out = find_sources([Path("photos")], limits=IntakeLimits())
    for result in classify_sources(sources, loaded=loaded, limits=IntakeLimits()):
        print(result.name, result.outcome.diagnosis if isinstance(result, Classified) else result.detail)

The names come from `recognition.inference.bundle` (`read_bundle`), `recognition.inference.runtime` (`load_classifier`),
`recognition.classify` (`find_sources`, `classify_sources`, `Classified`) and `recognition.sandbox` (`IntakeLimits`).
"""
