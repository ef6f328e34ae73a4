"""Figures that others published, to stand beside ours: other hardware, mostly other data."""

PUBLISHED = (
    ('SFS paper, arXiv 2604.20169', 'Cityscapes', '70.33', 'about 20 times faster than SSA'),
    ('SFS paper, arXiv 2604.20169', 'ADE20K', '48.01', ''),
    ('SSA, SegFormer-B0', 'Cityscapes', '52.52 -> 55.14 with SAM masks', '1149 ms, A6000'),
    ('SSA, SegFormer-B2', 'Cityscapes', '59.76 -> 62.25 with SAM masks', '1149 ms, A6000'),
    ('SSA, SegFormer-B5', 'Cityscapes', '71.67 -> 72.99 with SAM masks', '1149 ms, A6000'),
    ('SSA, SegFormer-B0', 'ADE20K', '31.78 -> 33.60 with SAM masks', '1149 ms, A6000'),
    ('SSA, SegFormer-B2', 'ADE20K', '41.38 -> 42.92 with SAM masks', '1149 ms, A6000'),
    ('SSA, SegFormer-B5', 'ADE20K', '45.92 -> 47.14 with SAM masks', '1149 ms, A6000'),
    ('SSA', 'Foggy Driving', '55.61', ''),
    ('FastSAM, masks alone', '', '', '40 ms, RTX 3090'),
    ('ENet', 'CamVid test, 11 classes', '51.3', ''),
    ('SegNet, ImageNet start', 'CamVid test, 11 classes', '60.1', ''),
    ('FC-DenseNet103', 'CamVid test, 11 classes', '66.9', ''),
    ('BiSeNet', 'CamVid test, 11 classes', '65.6 - 68.7', ''),
)
NOTE = 'Published by others, on other hardware and mostly other data; not measured here.'
